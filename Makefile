# Everything a contributor does. Tools run by pinned version, nothing is
# installed globally; the first end-to-end run builds a whole Kubernetes, which
# takes minutes, and later ones start it in seconds.

# The cluster of the demo: test (made here), current (kubeconfig) or kind.
CLUSTER ?= test
FUZZTIME ?= 10s
# How long random pods run on the cluster.
CHAOS ?= 30m
# The packages that are mutated.
MUTATED ?= ./wrapper ./wrapper/record ./wrapper/spec ./wrapper/probe ./wrapper/process ./wrapper/podstatus ./wrapper/podwatch ./webhook/inject
# How long random pods of three and four containers are explored.
EXPLORE ?= 5m

# Images: what they call themselves, for which platforms (empty: this machine's),
# and where they go. The labels and times in them are the commit's, so that the
# same commit gives the same digests. Expanded only where used.
VERSION ?= dev
PLATFORMS ?=
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
SOURCE ?=
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
IMAGES ?= bin/images
SBOM ?= bin/sbom
NAMES := wrapper webhook
CRANE ?= go run github.com/google/go-containerregistry/cmd/crane@v0.22.1
COSIGN ?= cosign

HELM ?= go run helm.sh/helm/v4/cmd/helm@v4.3.1
HELM_DOCS := github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2
# What runs the tests keeps their results, from which docs/conformance.md is made.
RESULTS := bin/results
GOTESTSUM := go run gotest.tools/gotestsum@v1.13.0 --format pkgname --format-hide-empty-pkg
GREMLINS := github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## all binaries, static, to bin/
	CGO_ENABLED=0 go build -trimpath -tags nethttpomithttp2 -ldflags '-s -w' -o bin/ ./cmd/koordinator ./cmd/koordinator-net
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/webhook

.PHONY: images
images: ## both images from the Dockerfiles, to bin/images/ (PLATFORMS=linux/amd64,linux/arm64)
	go run ./test/images -o $(IMAGES) -version '$(VERSION)' -platforms '$(PLATFORMS)' \
	  -revision '$(REVISION)' -source '$(SOURCE)' -created $(SOURCE_DATE_EPOCH)

.PHONY: sbom
sbom: ## what the built images are made of, CycloneDX JSON, to bin/sbom/
	go run ./test/sbom -o $(SBOM) $(addprefix $(IMAGES)/,$(NAMES))

.PHONY: push
push: ## push the built images to REGISTRY, e.g. ghcr.io/example
	@test -n '$(REGISTRY)' || { echo 'make push: set REGISTRY, e.g. ghcr.io/example' >&2; exit 1; }
	@set -e; for name in $(NAMES); do \
	  $(CRANE) push --image-refs $(IMAGES)/$$name.ref $(IMAGES)/$$name $(REGISTRY)/$$name:$(VERSION); \
	done

.PHONY: sign
sign: ## sign what was pushed and attest its bills of materials (cosign, keyless)
	@set -e; for name in $(NAMES); do \
	  $(COSIGN) sign --yes "$$(cat $(IMAGES)/$$name.ref)"; \
	  for bill in $(SBOM)/$$name-*.cdx.json; do \
	    $(COSIGN) attest --yes --type cyclonedx --predicate "$$bill" "$$(cat $(IMAGES)/$$name.ref)"; \
	  done; \
	done

.PHONY: package
package: ## the chart as an archive, to bin/chart/ (VERSION=v1.2.3 REGISTRY=ghcr.io/example)
	@rm -rf bin/chart && mkdir -p bin/chart && cp -r charts/koordinator bin/chart/koordinator
	@set -e; registry='$(REGISTRY)'; test -z "$$registry" || sed -i \
	  -e "s|registry: \"\"|registry: $${registry%%/*}|" -e "s|repository: koordinator/|repository: $${registry#*/}/|" \
	  -e "s|image: koordinator/\(.*\):dev|image: $$registry/\1:$(VERSION)|" \
	  bin/chart/koordinator/values.yaml bin/chart/koordinator/Chart.yaml
	$(HELM) package bin/chart/koordinator --destination bin/chart --version '$(VERSION:v%=%)' --app-version '$(VERSION)'

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
	$(GOTESTSUM) --jsonfile $(RESULTS)/unit.json -- -timeout 60m ./...
	cd test/cluster && go test -timeout 60m ./...

.PHONY: explore
explore: ## random pods through the wrapper's state machine, for EXPLORE
	EXPLORE=$(EXPLORE) go test -count=1 -timeout 60m -v -run ExploreLargerPods ./wrapper/lifecycle

.PHONY: e2e
e2e: ## the real cluster: koordinator on it, and the cluster itself
	go vet -tags e2e ./test/e2e ./test/images
	go test -tags e2e -count=1 -timeout 60m ./test/images
	go run ./test/cluster bin
	@echo "cert-manager, the first time for minutes:"
	cd test/cluster/certmanager && GOWORK=off CGO_ENABLED=0 go vet -trimpath . && GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o ../../../bin/certmanager .
	@mkdir -p $(RESULTS)
	$(GOTESTSUM) --jsonfile $(RESULTS)/e2e.json -- -tags e2e -count=1 -timeout 120m ./test/e2e
	cd test/cluster && go test -tags e2e -count=1 -timeout 60m -run E2E ./...

.PHONY: chaos
chaos: ## random pods on the real cluster, beside restarts of its parts, for CHAOS
	CHAOS=$(CHAOS) go test -tags e2e -count=1 -timeout 12h -v -run TestRandomPods ./test/e2e

.PHONY: mutate
mutate: ## mutation tests of wrapper and webhook/inject; needs hours
	@set -e; for package in $(MUTATED); do go run $(GREMLINS) unleash --workers 2 --timeout-coefficient 10 --exclude-files / $$package; done

.PHONY: conformance
conformance: ## docs/conformance.md from the results of unit and e2e
	go run ./test/conformance $(RESULTS)/unit.json $(RESULTS)/e2e.json

.PHONY: race
race: ## the fast part under the race detector (needs a C compiler)
	go test -race ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	go run ./test/fuzz -time $(FUZZTIME)

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
