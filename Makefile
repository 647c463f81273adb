# Ostiary. `make` alone lists the targets; `make V=1 …` shows the commands.

PYTHON  ?= python3
EXAMPLE ?= examples/quickstart
IMAGE   ?= ostiary
HELM    ?= helm
# Processes that run tests; each that gets cluster tests starts a control plane (400 MB). 0: all in pytest's own.
WORKERS ?= 2
# Of a gateway it is the number of its processes: those that tests start are not to read it from here.
unexport WORKERS

# The second HTTP server of the data port: its tests of the wire run behind all tests with the default one, or all of
# tests/protocol (ON_BOTH=tests/protocol).
SECOND_SERVER := aiohttp
ON_BOTH ?= tests/protocol/test_wire.py tests/protocol/test_hostile_wire.py tests/protocol/test_masked_wire.py \
  tests/protocol/test_streaming.py tests/protocol/test_tls.py tests/protocol/test_client_certificates.py \
  tests/unit/ostiary_gateway/server/test_listener.py tests/unit/ostiary_gateway/server/test_tls.py \
  tests/unit/ostiary_gateway/server/test_response.py tests/unit/ostiary_gateway/server/test_certificate.py \
  tests/unit/ostiary_gateway/server/llhttp/test_connection.py tests/unit/ostiary_gateway/server/llhttp/test_parser.py

BIN   := .venv/bin
# Named by the locked packages: an environment of another lock is brought up to date, whatever the times of the files.
READY := .venv/.installed-$(shell cksum < requirements/dev.txt | cut -d ' ' -f 1)
TOOL  := PYTHONPATH=tools $(BIN)/python -m
# Environments of the backends that `make backends` installs.
BACKENDS ?= .backends
NODE_PACKAGES = $(patsubst %/package-lock.json,%,$(wildcard tests/*/package-lock.json tests/*/*/package-lock.json))

ifndef V
.SILENT:
endif
.DEFAULT_GOAL := help
.PHONY: help run cluster test lint fuzz conformance chart control-plane bench compare profile simulate generate lock clean \
  backends version wheel package image sbom

help:
	awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ See it work
run: $(READY) ## start an example and its MCP server here (EXAMPLE=examples/quickstart)
	$(BIN)/ostiary run $(EXAMPLE)

cluster: $(READY) ## a whole Kubernetes control plane with operator and gateways, without containers
	$(TOOL) ostiary_tools.cluster.main

##@ Change it
test: lint ## lint, then run every test, those of the wire with both HTTP servers (WORKERS=2, PYTEST_ARGS=, ON_BOTH=)
	$(TOOL) ostiary_tools.toolchain.debian > /dev/null
	$(TOOL) ostiary_tools.toolchain.binaries > /dev/null
	$(if $(NODE_PACKAGES),$(TOOL) ostiary_tools.toolchain.node $(NODE_PACKAGES) > /dev/null)
	$(BIN)/pytest -q -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)
	$(if $(PYTEST_ARGS),,$(BIN)/pytest -q -n $(WORKERS) --dist loadfile --http-server $(SECOND_SERVER) $(ON_BOTH))
	echo "make test: all passed"

lint: $(READY) ## style, types, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	report=$$($(BIN)/lint-imports) || { echo "$$report"; exit 1; }

generate: $(READY) ## rewrite what is generated: CRDs, schemas, field reference, chart, pages, llms.txt
	$(BIN)/ostiary crds --write crds --json-schema schemas --docs docs/reference
	$(TOOL) ostiary_tools.generate.boards.main
	$(TOOL) ostiary_tools.generate.chart
	$(TOOL) ostiary_tools.generate.rights
	$(TOOL) ostiary_tools.generate.metrics_page
	$(TOOL) ostiary_tools.generate.signatures_page
	$(TOOL) ostiary_tools.generate.console_api
	$(TOOL) ostiary_tools.generate.pages

lock: $(READY) ## regenerate the lock files (UPGRADE=1 takes the newest versions)
	$(TOOL) ostiary_tools.generate.lock $(if $(UPGRADE),--upgrade)

clean: ## remove .venv and all that is derived; built tools stay in the user's cache
	rm -rf .venv .cluster .backends dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	rm -rf $(addsuffix /node_modules,$(NODE_PACKAGES))
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Prove it
conformance: $(READY) ## the official conformance suite and clients through the gateway (WRITE_DOCS=1)
	$(TOOL) ostiary_tools.conformance.main $(if $(WRITE_DOCS),--write-docs)
	HTTP_SERVER=$(SECOND_SERVER) $(TOOL) ostiary_tools.conformance.main
	$(TOOL) ostiary_tools.conformance.clients $(if $(WRITE_DOCS),--write-docs)

chart: $(READY) ## lint and render both charts; dry-run all of it on a real API server, restricted
	$(TOOL) ostiary_tools.toolchain.binaries > /dev/null
	$(BIN)/pytest -q tests/unit/chart tests/cluster/test_chart*.py tests/cluster/test_gitops.py \
	  tests/cluster/test_tutorial_kind.py

fuzz: $(READY) ## look for inputs that break a property (FUZZ_SECONDS=300, PYTEST_ARGS=)
	$(TOOL) ostiary_tools.fuzz $(if $(FUZZ_SECONDS),--seconds $(FUZZ_SECONDS)) -- $(PYTEST_ARGS)

backends: $(READY) ## the recipes of the guide with real Phoenix and MLflow (850 MB each, into BACKENDS=)
	OSTIARY_BACKENDS=$(abspath $(BACKENDS)) $(BIN)/pytest -q tests/backends $(PYTEST_ARGS)

control-plane: $(READY) ## build etcd, kube-apiserver, kubectl, helm into the user's cache (once; minutes)
	$(TOOL) ostiary_tools.toolchain.binaries

##@ Measure it
bench: $(READY) ## what a call costs, compared with nginx, with rules, with several servers, with several endpoints, with masks and locks, with several workers, under attack, with many proxies, and what the console costs (ONLY=calls|profile|access|governed|http-servers|merge|endpoints|content|workers|hostile|scale|console, WRITE_DOCS=1)
	PYTHONPATH=tools:benchmarks $(BIN)/python -m ostiary_bench $(if $(ONLY),--only $(ONLY)) $(if $(SIZES),--sizes $(SIZES)) \
	  $(if $(EDITS),--edits $(EDITS)) $(if $(BASE),--base $(BASE)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(WRITE_DOCS),--write-docs)

compare: $(READY) ## this gateway and those of others that are installed, in one run (ONLY=nginx,ostiary, PEERS=directory, LIST=1, ROUNDS=, SECONDS=, AGAIN=1, WRITE_DOCS=1, HELP=1)
	PYTHONPATH=tools:benchmarks $(BIN)/python -m ostiary_compare $(if $(HELP),--help) $(if $(LIST),--list) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(PEERS),--peers $(PEERS)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	  $(if $(SECONDS),--seconds $(SECONDS)) $(if $(AGAIN),--again) $(if $(WRITE_DOCS),--write-docs)

simulate: $(READY) ## what a fleet of a hundred gateways costs, by the project's own code (ONLY=configs|gateways|policies|callers|workers|streams|leases|sessions|watches, WRITE_DOCS=1; or PROXIES=200 GATEWAYS=2)
	PYTHONPATH=tools:benchmarks $(BIN)/python -m ostiary_bench.simulation $(if $(ONLY),--only $(ONLY)) $(if $(WRITE_DOCS),--write-docs) \
	  $(if $(PROXIES),--proxies $(PROXIES)) $(if $(GATEWAYS),--gateways $(GATEWAYS))

profile: $(READY) ## where the time of a call goes: by stage, with what each allocates, and in the event loop (OF="governed, spans 1 %", SECONDS=5, WRITE_DOCS=1)
	PYTHONPATH=tools:benchmarks $(BIN)/python -m ostiary_bench.profile $(if $(OF),--of "$(OF)") $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(WRITE_DOCS),--write-docs)

##@ Package it
version: ## print the version
	sed -n 's/^__version__.*"\(.*\)"$$/\1/p' sidecar/src/ostiary_core/version.py

wheel: $(READY) ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

package: ## package both charts into dist/
	for chart in helm/*/; do $(HELM) package "$$chart" --destination dist > /dev/null; done

image: ## build the image with Docker (IMAGE=ostiary)
	docker build --tag "$(IMAGE):$$($(MAKE) -s version)" .

sbom: ## write the bill of materials of the image into dist/, with Docker
	docker build --target sbom --output dist .

# One .venv with everything, not a smaller one for `make run`: without the developers' tools it would take 20 seconds
# instead of 29, but a second kind of installation would be one more difference between machines.
$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
	  echo "Ostiary needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one, for example: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	PYTHONPATH=tools $(PYTHON) -m ostiary_tools.install .venv requirements/dev.txt
	touch $@
