# certwindow: targets for people and for .ci/run. `make help` lists them.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PROGRAMS := certwindow cardagent hcasim phone demo

# Packages that are tested at the same time. More than two would share SoftHSM's slow key generation, browsers and
# databases among too few cores, and tests that wait for a process would wait too long.
PARALLEL ?= 2
TESTFLAGS ?=
FUZZTIME ?= 60s
BENCHTIME ?= 1s

export CGO_ENABLED := 1
# SQLite waits for a commit's data alone, and not for the file's times as well, where it is told that the system can.
export CGO_CFLAGS := -g -O2 -DHAVE_FDATASYNC=1
# Without it, a build by root in somebody's clone fails: git refuses to tell it the version.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: deps
deps: ## install the Debian packages that are missing, for the demo and for the tests
	@deploy/deps.sh demo test

.PHONY: deps-demo
deps-demo: ## install the Debian packages that are missing, for building and the demo only
	@deploy/deps.sh demo

.PHONY: build
build: ## compile all programs into bin/
	go build -trimpath -o bin/ $(PROGRAMS:%=./cmd/%)

.PHONY: demo
demo: deps-demo build ## play one day of a window, from the first set-up to a revocation, and end
	bin/demo --bin bin

.PHONY: run
run: deps-demo build ## set the same window up, and stay: click through the pages, until interrupted
	bin/demo --bin bin --stay

.PHONY: test
test: deps ## run all tests; CERTWINDOW_CORPORA names the test material, CI=true forbids skipping
	@[ -d "$${CERTWINDOW_CORPORA:-../shared/corpora}" ] || \
	echo "make test: no test material (CERTWINDOW_CORPORA): tests that need it skip, or fail where CI is set; TESTFLAGS=-v names them"
	go test -p $(PARALLEL) -timeout 9m $(TESTFLAGS) ./...

.PHONY: lint
lint: ## go vet, staticcheck, gofmt, and the shell scripts
	go vet ./...
	go tool staticcheck ./...
	@unformatted=$$(gofmt -l $$(go list -f '{{.Dir}}' ./...)); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	@for script in .ci/run deploy/*.sh; do bash -n "$$script"; done
	@if command -v shellcheck >/dev/null; then shellcheck .ci/run deploy/*.sh; else echo "shellcheck is not installed: 'make deps'"; fi

.PHONY: fuzz
fuzz: ## run every fuzz target for a share of FUZZTIME (60s in all)
	@deploy/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: deps build ## our figures beside the raw cryptography they cannot avoid, measured in the same run
	bin/certwindow bench

.PHONY: bench-go
bench-go: ## run every Go benchmark, one package at a time, for BENCHTIME (1s) each
	go test -p 1 -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

.PHONY: clean
clean: ## remove what building leaves behind
	rm -rf bin coverage.out
