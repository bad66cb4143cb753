# Viaduct: what a developer runs. `make help` lists the targets.
#
# Needed: Go 1.26, git, make. A C compiler is optional: with one, tests run under the race detector.

SHELL := /bin/bash
.DEFAULT_GOAL := help

GO        ?= go
PKGS      ?= ./...
TESTFLAGS ?=
FUZZTIME  ?= 30s
BENCHTIME ?= 1s

# The race detector needs cgo and a C compiler that can compile and link, not merely a name in PATH.
RACE = $(shell [ "$$($(GO) env CGO_ENABLED)" = 1 ] && echo 'int main(void) { return 0; }' | \
	$$($(GO) env CC) -include stdlib.h -x c -o /dev/null - >/dev/null 2>&1 && echo -race)

# What `viaduct version` tells: the commit, and the tag if it has one. Without git, or outside a repository, nothing is stamped.
STAMP      = github.com/viaduct-xmpp/viaduct/internal/appliance
GIT_COMMIT = $(shell git rev-parse --short=12 HEAD 2>/dev/null)
GIT_DIRTY  = $(shell git diff --quiet HEAD -- 2>/dev/null || echo +changes)
GIT_TAG    = $(shell git describe --tags --exact-match 2>/dev/null)
LDFLAGS    = $(if $(GIT_COMMIT),-ldflags "-X $(STAMP).commit=$(GIT_COMMIT)$(GIT_DIRTY) -X $(STAMP).tag=$(GIT_TAG)")

.PHONY: help build run test interop soak bench fuzz lint generate clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build viaduct and the bridges into bin/
	$(GO) build $(LDFLAGS) -o bin/ ./cmd/...

run: build ## build everything and run the server on the embedded defaults
	bin/viaduct serve

test: ## every test that needs nothing but Go (PKGS=./core/... for some, TESTFLAGS='-run X')
	$(GO) test $(RACE) -timeout 20m $(TESTFLAGS) $(PKGS)

interop: build ## install and run real peers: homeservers, other XMPP servers, other clients (as root)
	internal/dev/interop/run.sh

soak: build ## the long versions of the tests: hours (PKGS=… for some)
	VIADUCT_SOAK=1 $(GO) test $(RACE) -count=1 -timeout 12h -v -run '^TestSoak' $(TESTFLAGS) $(PKGS)
	$(if $(filter ./...,$(PKGS)),internal/dev/interop/soak.sh)

bench: ## Go benchmarks of the hot paths; servers side by side: internal/dev/bench/README.md
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) $(TESTFLAGS) $(PKGS)

fuzz: ## each fuzz target for FUZZTIME (PKGS=… for some)
	internal/dev/fuzz.sh $(FUZZTIME) $(PKGS)

lint: ## gofmt, go vet, golangci-lint, shellcheck, and the build with and without cgo
	internal/dev/lint.sh

generate: ## regenerate what is generated
	$(GO) generate ./...

clean: ## remove what make built; data and caches stay
	rm -rf bin
	$(GO) clean -testcache
