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

# keep NAME COMMAND... makes a secret of what the command prints, whole or not at all, unless it is there.
keep() {
	local file=secrets/$1
	shift
	if [ -e "$file" ]; then
		echo "exists deploy/$file"
		return
	fi
	"$@" >"$file.new"
	chmod 0444 "$file.new"
	mv "$file.new" "$file"
	echo "made   deploy/$file"
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

# Inside the private network of Compose there is no TLS; an address for production ends in sslmode=verify-full.
address() {
	printf 'postgres://certwindow:%s@postgres:5432/certwindow?sslmode=disable\n' "$(cat secrets/database_password)"
}

keep database_password random 24
keep database_address address
keep hsm_pin digits 12
keep hsm_so_pin digits 16
