# qbridge — `make help` lists the targets.
SHELL := /bin/bash
GO ?= go
BIN := $(CURDIR)/bin
export PATH := $(BIN):$(PATH)

TEMPORAL_VERSION := v1.5.1
GOLANGCI_VERSION := v2.15.0
WORKFLOWCHECK_VERSION := v0.6.0

.DEFAULT_GOAL := help
.PHONY: help run build test faults lint bench figures load clean tools temporal

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## bring up the local stack and run the first sync (ARGS='--once --assets 600 --seed 7 --fresh --summary out.json')
	@$(GO) build -o bin/qbridge-dev ./deploy/dev
	@bin/qbridge-dev $(ARGS)

build: ## build all programs into bin/
	$(GO) build -o bin/qbridge ./starter
	$(GO) build -o bin/qbridge-worker ./worker
	$(GO) build -o bin/qbridge-sim ./tests/sim/cmd

# The results of the tests also go into a table of what was tried, row by row of
# the fault matrix: var/reliability.md.
test: temporal ## unit, contract, replay, fault and end-to-end tests on a real Temporal server
	@rm -f var/reliability.json
	@$(GO) build -o bin/reliability ./tests/reliability
	set -o pipefail; $(GO) test -json -tags faults -timeout 15m ./tests/faults | bin/reliability var/reliability.md
	@if [ -n "$$QBRIDGE_TEST_POSTGRES" ] || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then \
	  set -o pipefail; deploy/postgres-test.sh $(GO) test -json -timeout 30m ./... | bin/reliability var/reliability.md; \
	else \
	  echo "the PostgreSQL suite does not run: install PostgreSQL, or set QBRIDGE_TEST_POSTGRES"; \
	  set -o pipefail; $(GO) test -json -timeout 30m ./... | bin/reliability var/reliability.md; \
	fi

faults: ## play seeds of faults in virtual time (SEED=17 replays one, SEEDS=2000 plays many)
	$(GO) test -tags faults -timeout 60m -v -run TestNothingIsLost ./tests/faults -seeds $(or $(SEEDS),300) -seed $(or $(SEED),0)

lint: tools ## golangci-lint and workflowcheck
	$(BIN)/golangci-lint run ./...
	$(BIN)/workflowcheck ./workflows/...

# The simulators are measured on one core, with QBRIDGE_SIM_CIS CIs in the CMDB
# before the first figure: loading a million takes a minute or two. Their goal,
# which nothing checks, is 3,000 assets/s and 3,000 CIs/s. Instructions are counted
# where valgrind is installed; the targets against the models are for MODELS=10000,
# of which the serial script alone takes eight minutes.
bench: build temporal ## benchmarks, and figures against competitors in var/bench/bench.json (BENCH=6000 MODELS=10000 ROUNDS=25 HEADS=1000000)
	$(GO) test -run '^$$' -bench . -benchmem ./domain/... ./activities/...
	QBRIDGE_SIM_CIS=$${QBRIDGE_SIM_CIS:-1000000} $(GO) test -run '^$$' -bench . -benchmem -benchtime 5s -cpu 1 -timeout 15m ./tests/sim/...
	@$(MAKE) --no-print-directory figures

figures: build temporal ## only the figures of make bench
	@$(GO) build -o bin/qbridge-dev ./deploy/dev
	@$(GO) build -o bin/qbridge-load ./tests/load
	@mkdir -p var; bin/qbridge-load bench -assets $(or $(BENCH),3000) -models $(or $(MODELS),1000) -rounds $(or $(ROUNDS),5) -heads $(or $(HEADS),1000000) 2>var/figures.log || { tail -20 var/figures.log; exit 1; }

load: build temporal ## what a first load, an unchanged run, two per cent changed, slow servers and an approval of ASSETS=100000 cost
	@$(GO) build -o bin/qbridge-dev ./deploy/dev
	@$(GO) build -o bin/qbridge-load ./tests/load
	bin/qbridge-load -assets $(or $(ASSETS),100000)
	$(GO) test ./tests/e2e -run TestManyStagedRecords -staged $(or $(ASSETS),100000) -v -timeout 120m
	$(GO) test ./tests/e2e -run TestTheCertificatesOfImportedAssetsLand -certificates $(or $(ASSETS),100000) -v -timeout 120m

clean: ## remove programs and state
	rm -rf bin var

# The Temporal dev server: TEMPORAL_BIN, PATH (bin/ included), or built once. Later
# releases have a replace line and cannot be installed so.
temporal:
	@[ -n "$$TEMPORAL_BIN" ] || command -v temporal >/dev/null || \
	  (echo "building the Temporal dev server once, this takes some minutes" && GOBIN=$(BIN) GOFLAGS= $(GO) install github.com/temporalio/cli/cmd/temporal@$(TEMPORAL_VERSION))

tools: $(BIN)/golangci-lint $(BIN)/workflowcheck

$(BIN)/golangci-lint:
	GOBIN=$(BIN) GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

$(BIN)/workflowcheck:
	GOBIN=$(BIN) GOFLAGS= $(GO) install go.temporal.io/sdk/contrib/tools/workflowcheck@$(WORKFLOWCHECK_VERSION)
