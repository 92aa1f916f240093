#!/usr/bin/env bash
# Runs every native fuzz target of the module, each for its share of the time given.
#
#   deploy/fuzz.sh 300s          five minutes in all; Ns, Nm or a plain number of seconds
#   deploy/fuzz.sh 60s ./ra/...  the targets of some packages only
#
# Prints one line for each target: inputs tried, seeds written down in the test, inputs kept. Fails when a target
# finds an input that breaks it, or has no seed to start from. Compiling does not count as fuzzing time.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
	echo 'usage: deploy/fuzz.sh TIME [PACKAGES]; TIME is 300s, 5m or a number of seconds' >&2
	exit 2
}

[ $# -ge 1 ] || usage
case $1 in
*[!0-9]*[!sm] | [!0-9]* | '') usage ;;
*m) total=$((${1%m} * 60)) ;;
*) total=${1%s} ;;
esac
case $total in *[!0-9]* | '') usage ;; esac
shift
[ $# -gt 0 ] || set -- ./...

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# go test -list prints the names of a package's targets, then a line with the package.
if ! go test -list '^Fuzz' "$@" >"$work/list" 2>&1; then
	cat "$work/list" >&2
	exit 1
fi
awk '/^Fuzz/ { names[n++] = $1; next }
	$1 == "ok" { for (i = 0; i < n; i++) print $2, names[i] }
	$1 == "ok" || $1 == "?" { n = 0 }' "$work/list" >"$work/targets"
count=$(wc -l <"$work/targets")
if [ "$count" -eq 0 ]; then
	echo 'fuzz: there is no fuzz target' >&2
	exit 1
fi
share=$((total / count))
if [ "$share" -lt 1 ]; then
	share=1
fi
echo "fuzz: $count targets, $share s each"

# seeds counts the inputs that a target adds itself: each is run as a subtest of its own.
seeds() {
	go test -count=1 -v -run "^$2\$" "$1" >"$work/seeds" 2>&1 || return 1
	grep -cE "^ +--- PASS: $2/" "$work/seeds" || true
}

fuzz() {
	go test -run '^$' -fuzz "^$2\$" -fuzztime "${share}s" -fuzzminimizetime 10x "$1" >"$work/out" 2>&1
}

# The engine now and then reports its own time limit as a failure when an input is in flight as time runs out.
# Such a run has kept no failing input; a real finding always has one.
own_deadline() {
	grep -q 'context deadline exceeded' "$work/out" && ! grep -q 'Failing input written' "$work/out"
}

failed=0
began=$SECONDS
while read -r package target; do
	if ! n=$(seeds "$package" "$target"); then
		printf 'FAIL %-32s %s: its own seeds break it\n' "$target" "$package"
		cat "$work/seeds"
		failed=1
		continue
	fi
	if [ "$n" -eq 0 ]; then
		printf 'FAIL %-32s %s: no seed to start from\n' "$target" "$package"
		cat "$work/seeds"
		failed=1
		continue
	fi
	if ! fuzz "$package" "$target" && ! { own_deadline && fuzz "$package" "$target"; }; then
		printf 'FAIL %-32s %s\n' "$target" "$package"
		cat "$work/out"
		failed=1
		continue
	fi
	# A share that is over before the seeds have been run leaves no count.
	last=$(grep -E 'execs: [0-9]+' "$work/out" | tail -1 || true)
	execs=$(sed -E 's/.*execs: ([0-9]+).*/\1/' <<<"$last")
	kept=$(sed -nE 's/.*\(total: ([0-9]+)\).*/\1/p' <<<"$last")
	printf 'ok   %-32s %-36s %9d execs, %3d seeds, corpus %d\n' "$target" "$package" "${execs:-0}" "$n" "${kept:-$n}"
done <"$work/targets"

echo "fuzz: $count targets in $((SECONDS - began)) s"
if [ "$failed" -ne 0 ]; then
	echo 'fuzz: FAILED; a failing input is kept under testdata/fuzz of its package' >&2
fi
exit "$failed"
