#!/usr/bin/env bash
# Installs the Debian packages that building, the demo and the tests need, and nothing that is there already.
#
#   deploy/deps.sh demo          what `make demo` needs
#   deploy/deps.sh demo test     what `make test`, `make lint` and `make fuzz` need as well
#
# When nothing is missing it changes nothing and needs no network. Otherwise it says what it installs and why, and
# uses apt without asking anything; not as root, it goes through sudo and says so.
set -euo pipefail

# Each line: package, and what it is for.
demo_packages='
gcc|the SQLite and PKCS#11 bindings are compiled with cgo
libc6-dev|headers of the C library, for cgo
ca-certificates|go fetches modules over TLS
softhsm2|the HSM and the IC cards of development and of the tests
openssl|judges from outside what our programs make
fonts-droid-fallback|the Chinese letters of reports as PDF
'
test_packages='
postgresql|the stores are tested on PostgreSQL as well as on SQLite
opensc|reads the virtual IC card as a counter computer would
pcscd|PC/SC, between OpenSC and the reader
vsmartcard-vpcd|the virtual card reader
pinentry-tty|asks for the PIN where the card agent is tested in a terminal
chromium|drives the pages as a clerk does
fonts-noto-cjk|without it a page in Chinese is a page of boxes
poppler-utils|reads the PDF reports back, as another program than the one that wrote them
shellcheck|make lint reads the shell scripts with it
'

usage() {
	echo 'usage: deploy/deps.sh demo|test ...' >&2
	exit 2
}

installed() {
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# as_root runs a command as root, by sudo where we are somebody else.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# no_main_cluster keeps the installation of the server from making and starting a database of its own: the tests
# make theirs, in a folder of their own and on a free port. A machine that has decided already is left as it is.
no_main_cluster() {
	local conf=/etc/postgresql-common/createcluster.conf
	if grep -qsE '^[[:space:]]*create_main_cluster' "$conf"; then
		return
	fi
	echo "deps: $conf: create_main_cluster = false, so that installing the server starts no database"
	as_root mkdir -p "${conf%/*}"
	echo 'create_main_cluster = false' | as_root tee -a "$conf" >/dev/null
}

# no_daemon stops the PC/SC daemon that a machine with systemd starts with the package: there can be one on a
# machine, and the tests start theirs. Called only where we installed the package ourselves, so that nobody's
# reader stops working.
no_daemon() {
	if [ -d /run/systemd/system ]; then
		echo 'deps: stopping the PC/SC daemon that came with pcscd; the tests start their own'
		as_root systemctl disable --now pcscd.socket pcscd.service || true
	fi
}

[ $# -gt 0 ] || usage
wanted=
for set in "$@"; do
	case $set in
	demo) wanted+=$demo_packages ;;
	test) wanted+=$test_packages ;;
	*) usage ;;
	esac
done

if ! command -v dpkg-query >/dev/null; then
	echo 'deps: this is not Debian, so nothing is installed. Needed are, by their Debian names:'
	echo "$wanted" | sed '/^$/d; s/|/: /; s/^/  /'
	exit 0
fi

missing=()
while IFS='|' read -r package why; do
	if [ -n "$package" ] && ! installed "$package"; then
		missing+=("$package")
		echo "deps: missing $package: $why"
	fi
done <<<"$wanted"

if [ ${#missing[@]} -eq 0 ]; then
	echo 'deps: nothing is missing'
	exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps: neither root nor sudo. As root: apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
		exit 1
	fi
	echo 'deps: not root, so apt runs through sudo, which may ask for your password'
fi

case " ${missing[*]} " in *' postgresql '*) no_main_cluster ;; esac

# --force-confold keeps createcluster.conf as written above, without the question that the package would ask.
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
as_root "${apt[@]}" update </dev/null
as_root "${apt[@]}" install -y --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "${missing[@]}" </dev/null

case " ${missing[*]} " in *' pcscd '*) no_daemon ;; esac
