# What there is to run. `make` alone lists it.

CARGO ?= cargo
BUILT := $(or $(CARGO_TARGET_DIR),target)
TOOLS := target/tools
KAFKA_DIR ?= target/kafka
export QUAYMETER_TEST_PYTHON ?= $(CURDIR)/$(TOOLS)/python/bin/python
export QUAYMETER_TEST_HELM ?= $(CURDIR)/$(TOOLS)/bin/helm

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo kafka-up kafka-down test fuzz chaos bench year parts release check tools base format docs lint protos dependencies tidy patches advisories mutants chart helm-begun

help: ## Lists these commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

demo: ## Builds, meters a simulated day of Ningbo, and compares every cell
	$(CARGO) build --release --locked
	$(BUILT)/release/quaymeter demo

# Stays until `make kafka-down`; a later `make kafka-up` goes on with its data.
kafka-up: ## Starts Apache Kafka: KAFKA_NODES (1 or 3), data in KAFKA_DIR (target/kafka)
	@scripts/kafka/broker install
	@scripts/kafka/broker start "$(KAFKA_DIR)" $(if $(KAFKA_NODES),--nodes $(KAFKA_NODES))
	@echo "tests use it with QUAYMETER_TEST_BROKERS set to these; its logs are $(KAFKA_DIR)/node-*/log;"
	@echo "it runs until \`make kafka-down\`, and \`rm -r $(KAFKA_DIR)\` then makes room for a new one"

kafka-down: ## Stops it and keeps its data
	@scripts/kafka/broker stop "$(KAFKA_DIR)"

# No doc tests: an example in a comment is compiled where it is used, in tests/.
test: base helm-begun check ## Installs what tests need, checks, and runs every test
	$(CARGO) test --locked --features failpoints --lib --bins --tests --no-run
	@scripts/install-tools
	$(CARGO) test --locked --features failpoints --lib --bins --tests

# With what the compiler leaves of two processors, while it works. What goes wrong is
# told when it is asked for again.
helm-begun: base
	@nice -n 19 scripts/install-tools helm </dev/null >/dev/null 2>&1 &

fuzz: ## Hostile input, guided by what it reaches: FUZZ_SECONDS (60) for each of FUZZ_TARGETS (all)
	@scripts/fuzz

chaos: tools ## Kills the service at random moments, CHAOS_KILLS times (300); CHAOS_SEED repeats; an instance on Kafka KAFKA_KILLS times (60)
	CHAOS_KILLS=$${CHAOS_KILLS:-300} $(CARGO) test --locked --features failpoints --test survive chaos -- --nocapture
	KAFKA_KILLS=$${KAFKA_KILLS:-60} $(CARGO) test --locked --features failpoints --test kafka killed -- --nocapture

bench: ## Measures the whole service, in an hour and a quarter; docs/performance.md
	$(CARGO) bench --locked --bench service

year: ## Meters a year of the port, YEAR_EVENTS (400000) a day, and says what it takes; docs/retention.md
	$(CARGO) bench --locked --bench service -- --year 365 --events $${YEAR_EVENTS:-400000}

parts: ## Measures the parts of an event's way, one by one
	$(CARGO) bench --locked --bench parts

release: ## The program as it is released, with what it is made of, in target/release-files
	@scripts/install-tools release
	@scripts/release

chart: tools ## Makes anew what is made of the Helm chart: its README's values, its schema's settings, its examples
	$(CARGO) build --locked
	@scripts/chart config $(BUILT)/debug/quaymeter
	@scripts/chart readme
	@scripts/chart examples "$(QUAYMETER_TEST_HELM)"

check: base format protos dependencies patches lint tidy ## Format, protos, dependencies, lints, house rules

tools: ## Installs the pinned tools into target/tools; nothing if they are there
	@scripts/install-tools

base: ## The same but for Helm, which takes minutes and no check needs
	@scripts/install-tools base

format: ## Is the code formatted?
	$(CARGO) fmt --check

docs: ## Makes anew what is made from the code: docs/metrics.md and the dashboards
	QUAYMETER_RENEW=1 $(CARGO) test --locked --features failpoints --test metrics_page
	scripts/dashboards/generate

lint: ## Clippy, warnings denied
	$(CARGO) clippy --locked --features failpoints --all-targets -- -D warnings

protos: base ## Lints the protos; nothing that a release promised may break
	@scripts/check-protos

dependencies: base ## Licences, bans and sources; vulnerabilities if their list can be had
	$(TOOLS)/bin/cargo-deny --locked --log-level error check --hide-inclusion-graph bans licenses sources
	@scripts/check-advisories --if-reachable

advisories: base ## Known vulnerabilities; needs the network
	@scripts/check-advisories

# They go stale whenever the code near them moves.
patches: ## Does each mutant still apply?
	@for patch in tests/mutants/*.patch; do git apply --check "$$patch" || exit 1; done

tidy: ## The house rules that no compiler checks
	$(CARGO) test --locked --quiet --features failpoints --test tidy

mutants: ## Breaks the code on purpose; each break must turn its test red
	@scripts/mutants
