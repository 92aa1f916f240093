#!/usr/bin/env bash
# What an operator does on a window's first day, for development: the HCA simulator, the token with the window's
# keys, the master key from two custodians' components, the dedicated certificate, TLS, the database's tables and
# the first administrator. Each step is left out when its result is there, so that running it again changes nothing.
#
# It calls the same commands as for production. What production does otherwise: the components are made and typed
# by two people (never by a script), the request goes to the HCA on paper, and TLS comes from the hospital's CA.
set -euo pipefail
umask 077

config=${CERTWINDOW_CONFIG:-/etc/certwindow/certwindow.yaml}
state=${CERTWINDOW_STATE:-/var/lib/certwindow}
simulator=${SIMULATOR_STATE:-/var/lib/hcasim}/hca
simulator_url=${SIMULATOR_URL:-http://simulator:8081}
simulator_name=${SIMULATOR_NAME:-simulator}
pin=${HSM_PIN_FILE:-/run/secrets/hsm_pin}
so_pin=${HSM_SO_PIN_FILE:-/run/secrets/hsm_so_pin}
module=${HSM_MODULE:-/usr/lib/softhsm/libsofthsm2.so}
token=${HSM_TOKEN:-certwindow}
institution=${WINDOW_INSTITUTION:-0101090517}
name=${WINDOW_NAME:-示範醫院}
export SOFTHSM2_CONF=${SOFTHSM2_CONF:-$state/softhsm2.conf}

# once FILE COMMAND... runs a command that makes FILE, unless it is there.
once() {
	local file=$1
	shift
	if [ -e "$file" ]; then
		echo "exists $file"
		return
	fi
	"$@"
	echo "made   $file"
}

softhsm() {
	mkdir -p "$state/tokens"
	printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$state/tokens" >"$SOFTHSM2_CONF.new"
	mv "$SOFTHSM2_CONF.new" "$SOFTHSM2_CONF"
}

# authority makes the simulator in a folder of its own: a first try that was cut short is thrown away, since
# nothing has been issued from it.
authority() {
	rm -rf "$simulator.new"
	hcasim init --dir "$simulator.new" --base-url "$simulator_url" --tls-name "$simulator_name"
	mv "$simulator.new" "$simulator"
}

publish() {
	cp "$simulator/$1" "$state/$1.new"
	mv "$state/$1.new" "$state/$1"
}

component() {
	certwindow ceremony component --out "$state/component-$1"
}

# The record is put in place last. Cut short between the key and its record, the next try is refused by the token,
# which has the generation already; then begin again with empty volumes.
master() {
	rm -f "$state/master-1.new"
	certwindow ceremony master --module "$module" --token "$token" --so-pin-file "$so_pin" --pin-file "$pin" --generation 1 \
		--custodian "first unit=$state/component-1" --custodian "second unit=$state/component-2" --out "$state/master-1.new"
	mv "$state/master-1.new" "$state/master-1.record"
}

dedicated() {
	rm -f "$state/dedicated.csr"
	certwindow ceremony request --module "$module" --token "$token" --pin-file "$pin" \
		--institution "$institution" --name "$name" --out "$state/dedicated.csr"
	rm -f "$state/dedicated.new"
	hcasim dedicated --dir "$simulator" --csr "$state/dedicated.csr" --institution "$institution" --name "$name" --out "$state/dedicated.new"
	mv "$state/dedicated.new" "$state/dedicated.pem"
}

tls() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
		-addext 'subjectAltName=DNS:localhost,DNS:window,IP:127.0.0.1' -addext 'extendedKeyUsage=serverAuth' \
		-keyout "$state/tls.key" -out "$state/tls.new" 2>/dev/null
	mv "$state/tls.new" "$state/tls.pem"
}

administrator() {
	certwindow staff create --config "$config" --account administrator --name 管理者 --json >"$state/first-administrator.new"
	mv "$state/first-administrator.new" "$state/first-administrator.json"
}

once "$SOFTHSM2_CONF" softhsm
once "$simulator" authority
for file in root.pem ca.pem tls-root.pem; do
	once "$state/$file" publish "$file"
done
certwindow ceremony setup --module "$module" --token "$token" --so-pin-file "$so_pin" --pin-file "$pin"
once "$state/component-1" component 1
once "$state/component-2" component 2
once "$state/master-1.record" master
once "$state/dedicated.pem" dedicated
once "$state/tls.pem" tls
certwindow migrate up --config "$config"
once "$state/first-administrator.json" administrator
