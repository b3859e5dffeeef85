# Everything a contributor does. Tools run by pinned version, nothing is
# installed globally; the first end-to-end run builds a whole Kubernetes, which
# takes minutes, and later ones start it in seconds.

# The cluster of the demo: test (made here), current (kubeconfig) or kind.
CLUSTER ?= test
FUZZTIME ?= 10s
# How long random pods of three and four containers are explored.
EXPLORE ?= 5m

HELM ?= go run helm.sh/helm/v4/cmd/helm@v4.3.1
HELM_DOCS := github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2
# What runs the tests keeps their results, from which docs/conformance.md is made.
RESULTS := bin/results
GOTESTSUM := go run gotest.tools/gotestsum@v1.13.0 --format pkgname --format-hide-empty-pkg
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## both binaries, static, to bin/
	CGO_ENABLED=0 go build -trimpath -tags nethttpomithttp2 -ldflags '-s -w' -o bin/ ./cmd/koordinator
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/webhook

.PHONY: images
images: ## both images from the Dockerfiles, to bin/images/
	go run ./test/images

.PHONY: demo
demo: ## the sample Job on a real cluster, with a timeline (CLUSTER=test|current|kind)
	go run ./test/demo -cluster $(CLUSTER) up

.PHONY: demo-down
demo-down: ## remove what the demo made
	go run ./test/demo -cluster $(CLUSTER) down

.PHONY: test
test: unit explore fuzz e2e conformance ## everything

.PHONY: unit
unit: ## the fast part: no cluster
	go vet ./...
	cd test/cluster && go vet ./...
	@mkdir -p $(RESULTS)
	$(GOTESTSUM) --jsonfile $(RESULTS)/unit.json -- ./...
	cd test/cluster && go test ./...

.PHONY: explore
explore: ## random pods through the wrapper's state machine, for EXPLORE
	EXPLORE=$(EXPLORE) go test -count=1 -timeout 30m -v -run ExploreLargerPods ./wrapper/lifecycle

.PHONY: e2e
e2e: ## the real cluster: koordinator on it, and the cluster itself
	go vet -tags e2e ./test/e2e
	go run ./test/cluster bin
	@echo "cert-manager, the first time for minutes:"
	cd test/cluster/certmanager && GOWORK=off CGO_ENABLED=0 go vet . && GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o ../../../bin/certmanager .
	@mkdir -p $(RESULTS)
	$(GOTESTSUM) --jsonfile $(RESULTS)/e2e.json -- -tags e2e -count=1 -timeout 40m ./test/e2e
	cd test/cluster && go test -tags e2e -count=1 -timeout 20m -run E2E ./...

.PHONY: conformance
conformance: ## docs/conformance.md from the results of unit and e2e
	go run ./test/conformance $(RESULTS)/unit.json $(RESULTS)/e2e.json

.PHONY: race
race: ## the fast part under the race detector (needs a C compiler)
	go test -race ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	@set -e; for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

.PHONY: bench
bench: ## whole processes beside their peers, then single functions
	go run ./test/bench -write
	go test -run '^$$' -bench . ./wrapper/... ./webhook/...

.PHONY: fmt
fmt: ## format
	gofmt -w $$(git ls-files '*.go')

.PHONY: lint
lint: ## golangci-lint
	go run $(GOLANGCI) run ./...

.PHONY: generate
generate: ## config/ and the table of values from the chart
	GOWORK=off HELM='$(HELM)' sh config/generate.sh
	GOWORK=off go run $(HELM_DOCS) --chart-search-root charts/koordinator --sort-values-order file --log-level warning

.PHONY: verify
verify: generate ## what must not drift: config/, the table of values, formatting, modules
	git diff --exit-code config charts
	GOWORK=off $(HELM) lint --strict charts/koordinator
	test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	GOWORK=off go mod tidy -diff
	cd test/cluster && GOWORK=off go mod tidy -diff
	cd test/cluster/certmanager && GOWORK=off go mod tidy -diff

.PHONY: clean
clean: ## remove bin/
	rm -rf bin
