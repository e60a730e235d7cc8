# The commands of this project; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
NODES ?= 1000
# Tests mostly wait for the control plane, so more of them than cores run side by side.
TEST_THREADS ?= 6
# `make nightly` asks for the tests that are too long for every change, too.
IGNORED ?=
SECONDS ?= 60
SEED ?= 0
SEEDS ?= 20000
MUTANTS ?=
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),--config 'target."cfg(unix)".runner = "sudo -n -E"')

.PHONY: help
help: ## list the commands
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.PHONY: simulate
simulate: ## an upgrade of 30 nodes in memory, which stops at one that fails; no cluster needed
	cargo build --quiet
	target/debug/rounds simulate examples/upgrade.yaml --nodes 30 --control-planes 3 --zones 3 --fail worker-07 || [[ $$? == 3 ]]

.PHONY: demo
demo: servers ## a cluster of 20 fake nodes, one NodeOp, live progress; cleans up after itself
	cargo build --quiet
	scripts/demo.sh target/debug/rounds

.PHONY: test
test: servers judges lint ## everything: format, clippy, the fault search, unit tests, all tests on a real control plane, and real nodes
	$(MAKE) --no-print-directory search SEEDS=20000
	$(MAKE) --no-print-directory mutants MUTANTS=BudgetOffByOne,NoLock,NoOwnership
	cargo test --lib --test it --test least_privilege --no-fail-fast -- --test-threads $(TEST_THREADS) $(IGNORED)
	$(MAKE) --no-print-directory nodes

.PHONY: nightly
nightly: ## the same, the tests that are too long for every change, and a late write after every single one (`make test` takes every second of those)
	ROUNDS_EVERY_WRITE=1 $(MAKE) test IGNORED=--include-ignored

# Nodes need root. Tests that wait for a free node are threads that wait.
.PHONY: nodes
nodes: ## three real nodes that really reboot, in namespaces of their own; as root, or by sudo
	@tests/cluster/build.sh kubelet registry >/dev/null
	ROUNDS_CACHE=$${ROUNDS_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/rounds} cargo test --test nodes $(AS_ROOT) -- --test-threads 16 $(IGNORED)

.PHONY: search
search: ## play SEEDS=20000 random scenarios, with faults, on the simulated cluster, from SEED=0 on
	SEED=$(SEED) SEEDS=$(SEEDS) cargo test --quiet --test search --features mutants

.PHONY: million
million: ## the fault search over 1,000,000 scenarios, in a build that is optimised for it: half an hour of two cores
	SEED=$(SEED) SEEDS=1000000 FINDINGS=20 cargo test --quiet --profile million --test search --features mutants

.PHONY: mutants
mutants: ## prove that the fault search finds deliberate mistakes: all, or MUTANTS=some,of,them
	MUTANTS=$(MUTANTS) cargo test --quiet --test search --features mutants

.PHONY: fuzz
fuzz: ## fuzz the manifest loader, and then Dockerfile templates, for SECONDS=60 each
	scripts/fuzz.sh $(SECONDS) manifests
	scripts/fuzz.sh $(SECONDS) templates

.PHONY: lint
lint: ## formatting, clippy with warnings denied; shellcheck and cargo-deny where they are installed
	cargo fmt --check
	cargo clippy --all-targets --features mutants --quiet -- -D warnings
	@if command -v shellcheck >/dev/null; then shellcheck -x -P SCRIPTDIR scripts/*.sh kustomize/bundle/run.sh tests/judges/*.sh tests/cluster/*.sh tests/nodes/*.sh tests/nodes/images/* .ci/run && shellcheck -s sh src/upgrade/*.sh src/channel/*.sh; else echo "shellcheck is not installed: skipped"; fi
	@if command -v cargo-deny >/dev/null; then cargo deny --all-features check bans licenses sources; else echo "cargo-deny is not installed: skipped"; fi

# Limits of the controllers. Stock is 20 and 30, which a thousand Jobs wait for by minutes; with 200 it is the cores that they wait for
# where these are slow, and the ratio is one of CPU time: docs/scale.md has both.
KCM = --kube-api-qps=100 --kube-api-burst=200 --concurrent-job-syncs=5

.PHONY: bench
bench: servers ## a NodeOp over NODES=1000 fake nodes against the floor of the control plane
	NODES=$(NODES) ROUNDS_KCM_FLAGS="$(KCM)" cargo bench --bench rollout

.PHONY: scale
scale: servers ## decide over 10,000 nodes, and whole rounds over NODES=5000 nodes with as many finished Jobs
	NODES=$(if $(filter-out file default,$(origin NODES)),$(NODES),5000) cargo bench --bench scale

.PHONY: generate
generate: ## write crds/ and docs/cli.md anew from the types and the command line
	cargo build --quiet
	scripts/generate.sh target/debug/rounds

.PHONY: servers
servers: ## build etcd, kube-apiserver and the like, once
	@tests/cluster/build.sh >/dev/null

.PHONY: judges
judges: ## build Helm, kubeconform, and what asks kstatus, Flux, Argo CD and Prometheus, once
	@tests/judges/build.sh >/dev/null

# The commands that developers of Kairos' operators know. Those with kind in their name need Docker and kind; nothing else does.
CLUSTER_NAME ?= kairos-controller-e2e
KUBE_VERSION ?= v1.35.0
IMG ?= $(shell sed -n 's/^ *image: //p' cronjob/runner/cronjob.yaml)
ARCH = $(shell uname -m)

.PHONY: unit-tests
unit-tests: ## what needs no cluster
	cargo test --lib
	cargo test --test it -- decide:: architecture:: gotemplate::

.PHONY: controller-tests
controller-tests: servers judges ## all tests on a real control plane
	cargo test --test it -- --test-threads $(TEST_THREADS)

.PHONY: test-e2e
test-e2e: nodes ## the same as make nodes

.PHONY: kind-setup
kind-setup: ## a kind cluster CLUSTER_NAME of Kubernetes KUBE_VERSION, with the image in it
	kind create cluster --name $(CLUSTER_NAME) --image kindest/node:$(KUBE_VERSION) || true
	$(MAKE) kind-setup-image

.PHONY: image-context
image-context: ## what the image is made of, in target/context: a static binary and a CA bundle, at most 15 MB together
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile image --target $(ARCH)-unknown-linux-gnu
	rm -rf target/context && mkdir -p target/context
	strip -o target/context/rounds target/$(ARCH)-unknown-linux-gnu/image/rounds
	cp /etc/ssl/certs/ca-certificates.crt target/context/
	@size=$$(cat target/context/* | wc -c); echo "$$size bytes"; [[ $$size -le 15000000 ]] || { echo "the image is larger than 15 MB" >&2; exit 1; }

.PHONY: kind-setup-image
kind-setup-image: image-context ## build the image, and load it into the kind cluster
	docker build -f cronjob/Containerfile -t $(IMG) target/context
	kind load docker-image --name $(CLUSTER_NAME) $(IMG)

.PHONY: kind-e2e-tests
kind-e2e-tests: kind-setup ## install Rounds there, carry an operation through, and remove it
	scripts/kind-e2e.sh kind-$(CLUSTER_NAME)

.PHONY: clean
clean: ## remove what cargo built; the servers stay in their cache
	cargo clean
