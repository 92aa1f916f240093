#!/usr/bin/env bash
# Makes the secrets of docker-compose.yml as files in deploy/secrets, once: what exists is left alone, because the
# database and the token have been made with it.
#
# The folder is closed to everybody but its owner. The files in it are readable: Compose mounts each one by itself
# into containers whose users are nobody on this machine.
set -euo pipefail
cd "$(dirname "$0")"

umask 077
mkdir -p secrets
chmod 0700 secrets

# keep writes standard input to a new secret, whole or not at all.
keep() {
	if [ -e "secrets/$1" ]; then
		echo "exists deploy/secrets/$1"
		return
	fi
	cat >"secrets/$1.new"
	chmod 0444 "secrets/$1.new"
	mv "secrets/$1.new" "secrets/$1"
	echo "made   deploy/secrets/$1"
}

# random prints N bytes of the system's random source in hexadecimal.
random() {
	od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

# digits prints a PIN of N digits; bytes above 249 are left out, or some digits would come more often.
digits() {
	local out=
	while [ ${#out} -lt "$1" ]; do
		for byte in $(od -An -N32 -tu1 /dev/urandom); do
			if [ "$byte" -lt 250 ]; then
				out+=$((byte % 10))
			fi
		done
	done
	echo "${out:0:$1}"
}

random 24 | keep database_password
# Inside the private network of Compose there is no TLS; an address for production ends in sslmode=verify-full.
printf 'postgres://certwindow:%s@postgres:5432/certwindow?sslmode=disable\n' "$(cat secrets/database_password)" | keep database_address
digits 12 | keep hsm_pin
digits 16 | keep hsm_so_pin
