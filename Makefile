# make demo   shows Tekgate doing its whole job on a real API server
# make test   runs all tests
# The other targets are what these are made of, and what CI calls.

SHELL   := bash
VERSION := $(shell cat VERSION)
LDFLAGS := -s -w -X github.com/tekgate/tekgate/manifests.Version=$(VERSION)
SCENARIOS := go test -tags e2e,grpcnotrace -count 1 -timeout 60m -v ./e2e/scenarios -args
# With paths trimmed, packages have the same key in the build cache wherever the checkout is.
export GOFLAGS := -trimpath -tags=grpcnotrace $(GOFLAGS)
# Without grpcnotrace, gRPC brings a page for requests, whose template calls methods by name; see
# internal/template for what that costs. Plain go build works, and makes larger programs.
# Programs and tests share what is compiled. With cgo, a library that loads plugins would make
# each test that links it wait for the system's linker.
export CGO_ENABLED := 0
# A release is assembled again only when go.mod, or what assembles it, changes.
RELEASE := manifests/release/.stamp
RELEASE_SOURCES := go.mod $(wildcard internal/release/*.go internal/release/generate/*.go internal/image/*.go)

.PHONY: build test demo e2e e2e-full e2e-previous e2e-cluster bench bench-peers fuzz vulncheck verify generate renew clean help

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 14

build: $(RELEASE) ## build the three programs into bin/
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/tekgate ./cmd/webhook ./cmd/interceptor

$(RELEASE): $(RELEASE_SOURCES)
	go generate ./manifests
	@touch $@

test: $(RELEASE) controlplane ## run all tests, against a real API server
	go test -timeout 20m ./...

.PHONY: controlplane
controlplane: # and Tekton's webhooks, cert-manager's controllers and registries: built before the tests, so that their time-outs do not count it
	go run ./e2e/cluster/build
	go run ./e2e/registries/build

.PHONY: node
node: # everything that runs in a node
	go run ./e2e/node/build

demo: build ## show the whole job on a real API server
	go run ./e2e/demo

e2e: build node ## run the core scenarios on nodes that run Pods (root, and packages that it names)
	$(SCENARIOS)

e2e-full: build ## run all scenarios, also those that take many minutes
	go run ./e2e/node/build -full
	$(SCENARIOS) -full

e2e-previous: build ## run the first scenario on the minor version of Kubernetes before
	TEKGATE_KUBERNETES=previous go run ./e2e/node/build
	TEKGATE_KUBERNETES=previous go test -tags e2e,grpcnotrace -count 1 -timeout 60m -v -run 'TestScenarios/^(01-install|02-demo)$$' ./e2e/scenarios

e2e-cluster: build ## run them on the cluster of TEKGATE_KUBECONFIG
	@test -n "$$TEKGATE_KUBECONFIG" || { echo 'set TEKGATE_KUBECONFIG to the kubeconfig of a cluster that Tekgate may be installed to'; exit 1; }
	$(SCENARIOS) -full

bench: build controlplane ## run the benchmarks
	go test -run '^$$' -bench . -benchtime 3s ./...
	go run ./e2e/copybench

fuzz: $(RELEASE) ## fuzz every target for FUZZTIME each, an hour in all by default, or for FUZZTOTAL seconds in all
	FUZZTOTAL=$(FUZZTOTAL) bash hack/fuzz

vulncheck: $(RELEASE) ## look for known vulnerabilities in what the programs call, if the database is in reach
	bash hack/vulncheck

bench-peers: $(RELEASE) controlplane ## compare the admission server with its peers, and write docs/benchmarks.md
	go run ./e2e/peers/build
	go run ./e2e/bench --json e2e/bench/results.json --out docs/benchmarks.md

verify: $(RELEASE) ## check format, modules, imports, documentation and lint
	bash hack/verify

generate: $(RELEASE) ## write the documentation that is generated from the code
	go test ./mutator ./validator ./interceptor ./installer/check ./diagnosis ./internal/credentials/clients ./cmd/tekgate -run 'Reference|Rules' -update

renew: ## renew the table of the digests that Tekton published (needs github.com)
	go run ./internal/published/renew

clean: ## remove what the build made here (the cache stays)
	rm -rf bin manifests/release/*.gz $(RELEASE)
