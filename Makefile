# What there is to do with this checkout. `make` alone prints the list.
#
# One build profile (release) serves everything, so that RocksDB's C++ is compiled once. CARGO_TARGET_DIR may point at a
# cache outside the checkout.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check deploy-check rehearsal bench chaos chaos-bugs reliability fuzz-influxql fuzz-line-protocol clean

TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

help: ## Print this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 30

# The demo runs till Ctrl-C, or for DEMO_SECONDS seconds.
demo: ## A three-node cluster on this machine, fed with recorded and simulated Heapster traffic.
	scripts/demo.sh

# The chaos tests start the binary as an operator does, so it is built before they are.
test: ## All tests, those with real processes under faults included.
	scripts/install-deps.sh --for test
	cargo build --release --workspace
	cargo test --release --workspace --no-fail-fast

check: ## Format and lints, as .ci/run does.
	scripts/install-deps.sh --for build
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

# helm, kustomize and kubeconform are compiled once, into ~/.cache/steadfast/tools.
deploy-check: ## Manifests, chart, alerts: rendered, validated against the APIs of several Kubernetes releases, compared.
	scripts/install-deps.sh --for deploy
	deploy/check.sh

# make rehearsal REHEARSAL="--speed 5 --only volume-lost,all-killed"
rehearsal: ## The StatefulSet as Kubernetes plays it, without Kubernetes: boots, updates, lost pods and volumes, under load.
	scripts/install-deps.sh --for test
	scripts/install-deps.sh --for deploy
	cargo build --release --workspace
	deploy/rehearse.sh --binary $(TARGET_DIR)/release/steadfast $(REHEARSAL)

# make bench BENCH="--only ingest"
bench: ## Measure against a real influxd and VictoriaMetrics on this machine; prints tables.
	scripts/install-deps.sh --for bench
	cargo build --release --workspace
	python3 -B scripts/bench --steadfast $(TARGET_DIR)/release/steadfast $(BENCH)

# make chaos SEEDS=1000 FROM=1
# make chaos FOUNDINGS=1000
# make chaos SECONDS_OF_CHAOS=3600 SEED=7
chaos: ## SEEDS=n: so many simulated clusters under faults. Without: ten minutes of kills, hangs and restarts of real ones.
	scripts/install-deps.sh --for test
	cargo build --release --workspace
	$(if $(SEEDS)$(FOUNDINGS),\
	  $(TARGET_DIR)/release/simulate $(if $(FOUNDINGS),--foundings) --seeds $(or $(FOUNDINGS),$(SEEDS)) --from $(or $(FROM),1),\
	  $(TARGET_DIR)/release/soak --seconds $(or $(SECONDS_OF_CHAOS),600) $(if $(SEED),--seed $(SEED)))

# make reliability FAULTS="--kills 100 --restarts 30"
reliability: ## What writers see of leaders killed, restarts, drains and lost volumes; every point is read back.
	scripts/install-deps.sh --for test
	cargo build --release --workspace
	$(TARGET_DIR)/release/reliability $(FAULTS)

# make chaos-bugs SEEDS=100 BUG=3
chaos-bugs: ## Known bugs are put back into simulated clusters, one after the other: each must be noticed.
	cargo build --release --workspace --features chaos-tests/bugs --bin simulate
	$(TARGET_DIR)/release/simulate --bugs $(if $(SEEDS),--seeds $(SEEDS)) $(if $(BUG),--bug $(BUG))

# make fuzz-influxql STATEMENTS=100000 SEED=7
fuzz-influxql: ## Random statements against a real influxd and a cluster, answers compared to the byte.
	scripts/install-deps.sh --for test
	cargo build --release --workspace
	$(TARGET_DIR)/release/fuzz_influxql --statements $(or $(STATEMENTS),100000) $(if $(SEED),--seed $(SEED))

# make fuzz-line-protocol BODIES=20000 SEED=7
fuzz-line-protocol: ## Random line protocol to both: same status, same text, same points.
	scripts/install-deps.sh --for test
	cargo build --release --workspace
	$(TARGET_DIR)/release/fuzz_line_protocol --statements $(or $(BODIES),20000) $(if $(SEED),--seed $(SEED))

clean: ## Remove everything that was built. RocksDB takes long to compile again.
	cargo clean
