# Two commands are all that a newcomer needs: make run, make test. make help lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Where make run keeps its state. As root PostgreSQL runs as another user, who cannot enter root's home.
# Only run and stop get it: tests and benchmarks make directories of their own.
CHANGEOVER_HOME ?= $(if $(filter 0,$(shell id -u)),/var/lib/changeover,$(CURDIR)/var)
unexport CHANGEOVER_HOME

# The demo has a state directory and a port of its own.
DEMO_HOME ?= $(if $(filter 0,$(shell id -u)),/var/lib/changeover-demo,$(CURDIR)/var/demo)
DEMO_ADDR ?= 127.0.0.1:8095

# go build stamps the commit into the program, but fails where git refuses the checkout (root in a user's clone) or
# where there is none (an unpacked archive).
ifeq ($(shell git rev-parse HEAD 2>/dev/null),)
export GOFLAGS := $(GOFLAGS) -buildvcs=false
endif

# Packages tested at the same time. They are bound by PostgreSQL starting and syncing; on two cores a third one only
# makes the others miss their deadlines.
TEST_PACKAGES ?= 2
TEST_FLAGS ?=
PACKAGES ?= ./...
GO_TEST = go test -json -race -shuffle=on -timeout 20m

# TestMeasured... hold a bound of time, which means nothing beside others: they run last, one after the other.
# With a -run of your own in TEST_FLAGS there is one pass.
MEASURED = $(if $(filter ./...,$(PACKAGES)),$(addprefix ./,$(sort $(dir $(shell grep -rl --include='*_test.go' '^func TestMeasured' cmd internal)))),$(PACKAGES))

# The commands among bench/; the other folders are what they share.
BENCHMARKS = $(sort $(shell grep -l '^package main' bench/*/*.go 2>/dev/null | cut -d/ -f2))

##@ Every day
.PHONY: run
run: setup-run build ## set up what is missing, start everything, print one sign-in link
	@CHANGEOVER_HOME="$(CHANGEOVER_HOME)" exec bin/changeover

.PHONY: test
test: setup-test ## set up what is missing, run every test, browser tests too
	@go build -o bin/testreport ./scripts/testreport
ifneq ($(findstring -run,$(TEST_FLAGS)),)
	@$(GO_TEST) -p 1 $(TEST_FLAGS) $(PACKAGES) | bin/testreport
else
	@{ $(GO_TEST) -p $(TEST_PACKAGES) -skip '^TestMeasured' $(TEST_FLAGS) $(PACKAGES) || failed=1; \
	$(GO_TEST) -p 1 -run '^TestMeasured' $(TEST_FLAGS) $(MEASURED) || failed=1; [ -z "$${failed:-}" ]; } | bin/testreport
endif

.PHONY: check
check: lint generated vulnerabilities test ## lint, generated code, known vulnerabilities, test

.PHONY: stop
stop: ## stop every database and the pool of this checkout's state directory
	@[ -x bin/changeover ] || { echo "Nothing was ever built here, so nothing runs. (make run builds and starts.)"; exit 0; }; CHANGEOVER_HOME="$(CHANGEOVER_HOME)" bin/changeover stop-all

##@ Now and then
.PHONY: demo
demo: setup-run build build-demo ## a dashboard with life in it: two apps, six databases, a writer, a changeover; serves until Ctrl-C
	@exec bin/demo -home "$(DEMO_HOME)" -addr "$(DEMO_ADDR)" -program bin/changeover

.PHONY: demo-clean
demo-clean: build build-demo ## remove everything of the demo: servers, processes, files
	@exec bin/demo -home "$(DEMO_HOME)" -addr "$(DEMO_ADDR)" -program bin/changeover -clean

.PHONY: screenshots
screenshots: build go-version ## photograph the pages of the demo that runs into docs/screenshots
	@go run ./scripts/screenshots -home "$(DEMO_HOME)" -addr "$(DEMO_ADDR)" -program bin/changeover

.PHONY: build
build: go-version ## build bin/changeover
	@CGO_ENABLED=0 go build -trimpath -o bin/changeover ./cmd/web

.PHONY: generate
generate: go-version ## write the *_templ.go files anew
	@go tool templ generate -path views -log-level warn

.PHONY: lint
lint: go-version ## gofmt, go vet, staticcheck, the rules of the house
	@files=$$(gofmt -l bench cmd internal scripts static views); [ -z "$$files" ] || { echo "Not gofmt-ed (gofmt -w them):"; echo "$$files"; exit 1; }
	@go mod tidy -diff
	@go vet ./...
	@go tool staticcheck ./...
	@go test -count=1 ./internal/architecture

.PHONY: test-all
test-all: export CHANGEOVER_TEST_ALL = 1
test-all: test ## make test, and every step's kill test on real servers (long)

bench-%: setup-run go-version ## run one benchmark of bench/: make bench-changeover
	@[[ " $(BENCHMARKS) " = *" $* "* ]] || { echo "There is no benchmark $*. There are: $(BENCHMARKS)"; exit 2; }
	@go run ./bench/$*

# Each fuzz test for this long; make test runs their seeds only.
FUZZTIME ?= 20s

.PHONY: fuzz
fuzz: setup-test ## run every fuzz test for FUZZTIME (20s), one after the other
	@for file in $$(grep -l '^func Fuzz' --include='*_test.go' -r cmd internal); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' "$$file"); do \
			echo "$$name ($$(dirname "$$file"))"; go test "./$$(dirname "$$file")" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) | tail -n 12; \
		done; done

.PHONY: clean
clean: ## remove what was built (the databases in the state directory stay)
	@rm -rf bin

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z%-]+:.*## / {name = $$1; if (name == "bench-%") name = "bench-<name>"; printf "  make %-14s %s\n", name, $$2}' Makefile
	@echo; echo "Benchmarks: $(BENCHMARKS)"

# --- parts ---

.PHONY: build-demo
build-demo: go-version
	@CGO_ENABLED=0 go build -trimpath -o bin/demo ./scripts/demo

.PHONY: generated
generated: generate
	@git -c safe.directory='*' diff --exit-code --stat -- '*_templ.go' || { echo "The files above are not what their .templ files say. Run make generate and commit them."; exit 1; }
	@new=$$(git -c safe.directory='*' ls-files --others --exclude-standard -- '*_templ.go'); [ -z "$$new" ] || { echo "Generated but not committed: $$new"; exit 1; }

.PHONY: vulnerabilities
vulnerabilities: go-version
	@scripts/vulnerabilities

.PHONY: setup-run setup-test
setup-run setup-test: setup-%: go-version
	@scripts/setup $*

# Go 1.21 and later fetch the release that go.mod names by themselves; older ones cannot read go.mod.
.PHONY: go-version
go-version:
	@need=$$(awk '$$1 == "go" {print $$2; exit}' go.mod); \
	command -v go >/dev/null || { echo "Go is missing. Install Go $$need or newer: https://go.dev/doc/install"; exit 1; }; \
	have=$$(cd / && go env GOVERSION 2>/dev/null | sed 's/^go//'); \
	[ "$$(printf '%s\n' 1.21 "$${have:-0}" | sort -V | head -n 1)" = 1.21 ] || { echo "This is Go $${have:-of unknown age}; Changeover needs $$need or newer (a distribution's own Go is often too old). Install it: https://go.dev/doc/install"; exit 1; }; \
	go version >/dev/null 2>&1 || { echo "This is Go $$have and Changeover needs $$need, which could not be fetched:"; go version; exit 1; }
