# The commands for contributors. Tools run in pinned versions, and nothing is
# installed globally. The first end-to-end run builds Kubernetes from source, which
# takes minutes; later runs start it in seconds.

# The cluster of the demo: test (created on this machine), current (kubeconfig) or kind.
CLUSTER ?= test
FUZZTIME ?= 10s
# Duration of the runs of random pods on the cluster.
CHAOS ?= 30m
# The versions of Kubernetes that test-versions uses.
VERSIONS ?= 1.34.4 1.35.4 1.36.3 1.37.2
# Duration of the outages of the API server.
OUTAGE ?= 10m
# The packages for mutation tests.
MUTATED ?= ./wrapper ./wrapper/record ./wrapper/spec ./wrapper/probe ./wrapper/process ./wrapper/podstatus ./wrapper/podwatch ./webhook/inject
# Duration of the exploration of random pods with three and four containers.
EXPLORE ?= 5m

# Images: the version that they report, their platforms (empty: this machine's), and
# their directories. Their labels and times are those of the commit, so that the same
# commit results in the same digests. These variables are expanded only where used.
VERSION ?= dev
PLATFORMS ?=
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
SOURCE ?=
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
IMAGES ?= bin/images
SBOM ?= bin/sbom
CHART ?= bin/chart
# The tag or commit at which a changelog begins; empty: the last tag.
SINCE ?=
# Additional flags of helm push, for example --plain-http.
HELM_PUSH ?=
NAMES := wrapper webhook
CRANE ?= go run github.com/google/go-containerregistry/cmd/crane@v0.22.1
COSIGN ?= cosign

HELM ?= go run helm.sh/helm/v4/cmd/helm@v4.3.1
HELM_DOCS := github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2
# The targets unit and e2e keep their results here, for docs/contributing/conformance.md.
RESULTS := bin/results
GOTESTSUM := go run gotest.tools/gotestsum@v1.13.0 --format pkgname --format-hide-empty-pkg
GREMLINS := github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
VALE := github.com/vale-cli/vale/v3/cmd/vale@v3.21.0

.PHONY: help
help: ## print this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build all static binaries to bin/
	CGO_ENABLED=0 go build -trimpath -tags nethttpomithttp2 -ldflags '-s -w' -o bin/ ./cmd/koordinator ./cmd/koordinator-net
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/webhook ./cmd/kubectl-koordinator

.PHONY: plugin
plugin: ## build the kubectl plugin and its krew manifest to bin/plugin/ (PLATFORMS=linux/amd64,darwin/arm64; default: all six)
	go run ./test/plugin -o bin/plugin -version '$(VERSION)' -platforms '$(PLATFORMS)' -source '$(SOURCE)' -created $(SOURCE_DATE_EPOCH)

.PHONY: images
images: ## build both images to bin/images/ (PLATFORMS=linux/amd64,linux/arm64)
	go run ./test/images -o $(IMAGES) -version '$(VERSION)' -platforms '$(PLATFORMS)' \
	  -revision '$(REVISION)' -source '$(SOURCE)' -created $(SOURCE_DATE_EPOCH)

.PHONY: sbom
sbom: ## write an SBOM of each built image (CycloneDX JSON) to bin/sbom/
	go run ./test/sbom -o $(SBOM) $(addprefix $(IMAGES)/,$(NAMES))

.PHONY: push
push: ## push the built images to REGISTRY, for example ghcr.io/example
	@test -n '$(REGISTRY)' || { echo 'make push: set REGISTRY, for example ghcr.io/example' >&2; exit 1; }
	@set -e; for name in $(NAMES); do \
	  $(CRANE) push --image-refs $(IMAGES)/$$name.ref $(IMAGES)/$$name $(REGISTRY)/$$name:$(VERSION); \
	done

.PHONY: sign
sign: ## sign the pushed images and chart, and attest the SBOMs of the images (cosign, keyless)
	@test ! -e '$(CHART)/koordinator.ref' || $(COSIGN) sign --yes "$$(cat '$(CHART)/koordinator.ref')"
	@set -e; for name in $(NAMES); do \
	  $(COSIGN) sign --yes "$$(cat $(IMAGES)/$$name.ref)"; \
	  for bill in $(SBOM)/$$name-*.cdx.json; do \
	    $(COSIGN) attest --yes --type cyclonedx --predicate "$$bill" "$$(cat $(IMAGES)/$$name.ref)"; \
	  done; \
	done

.PHONY: package
package: ## package the chart to bin/chart/ (VERSION=v1.2.3 REGISTRY=ghcr.io/example SOURCE=https://github.com/example/koordinator)
	@rm -rf '$(CHART)' && mkdir -p '$(CHART)' && cp -r charts/koordinator '$(CHART)/koordinator'
	@set -e; registry='$(REGISTRY)'; test -z "$$registry" || sed -i \
	  -e "s|    registry: \"\"|    registry: $${registry%%/*}|" -e "s|repository: koordinator/|repository: $${registry#*/}/|" \
	  -e "s|image: koordinator/\(.*\):dev|image: $$registry/\1:$(VERSION)|" \
	  '$(CHART)/koordinator/values.yaml' '$(CHART)/koordinator/Chart.yaml'
	@test -z '$(SOURCE)' || sed -i -e 's|https://koordinator.io/icon.svg|$(SOURCE)/raw/$(VERSION)/charts/koordinator/icon.svg|' \
	  -e 's|https://koordinator.io/blob/main|$(SOURCE)/blob/$(VERSION)|' -e 's|https://koordinator.io$$|$(SOURCE)|' '$(CHART)/koordinator/Chart.yaml' '$(CHART)/koordinator/values.yaml'
	@case '$(VERSION)' in v[0-9]*-*|dev) ;; *) sed -i 's|prerelease: "true"|prerelease: "false"|' '$(CHART)/koordinator/Chart.yaml' ;; esac
	$(HELM) package '$(CHART)/koordinator' --destination '$(CHART)' --version '$(VERSION:v%=%)' --app-version '$(VERSION)'

.PHONY: push-chart
push-chart: ## push the packaged chart to oci://REGISTRY/charts/koordinator
	@test -n '$(REGISTRY)' || { echo 'make push-chart: set REGISTRY, for example ghcr.io/example' >&2; exit 1; }
	@set -e; $(HELM) push '$(CHART)/koordinator-$(VERSION:v%=%).tgz' 'oci://$(REGISTRY)/charts' $(HELM_PUSH) >'$(CHART)/push.log' 2>&1 || { cat '$(CHART)/push.log' >&2; exit 1; }; \
	  cat '$(CHART)/push.log'; sed -n 's|^Digest: \(sha256:[0-9a-f]*\)$$|$(REGISTRY)/charts/koordinator@\1|p' '$(CHART)/push.log' >'$(CHART)/koordinator.ref'; \
	  test -s '$(CHART)/koordinator.ref' || { echo 'make push-chart: helm printed no digest' >&2; exit 1; }

.PHONY: changelog
changelog: ## print the changes since SINCE (default: the last tag), from the commits
	@go run ./test/changelog -since '$(SINCE)'

.PHONY: demo
demo: ## run the sample Job on a real cluster, and print its timeline and save it to bin/demo/ (CLUSTER=test|current|kind)
	go run ./test/demo -cluster $(CLUSTER) up

.PHONY: demo-down
demo-down: ## remove everything that the demo created
	go run ./test/demo -cluster $(CLUSTER) down

.PHONY: test
test: unit explore fuzz e2e conformance ## run all tests

.PHONY: unit
unit: ## run unit tests
	go vet ./...
	cd test/cluster && go vet ./...
	@mkdir -p $(RESULTS)
	$(GOTESTSUM) --jsonfile $(RESULTS)/unit.json -- -timeout 60m ./...
	cd test/cluster && go test -timeout 60m ./...

.PHONY: explore
explore: ## explore random pods in the wrapper's state machine for the time EXPLORE
	EXPLORE=$(EXPLORE) go test -count=1 -timeout 60m -v -run ExploreLargerPods ./wrapper/lifecycle

.PHONY: e2e
e2e: certmanager ## run end-to-end tests on a real cluster, and the tests of the test cluster
	go vet -tags e2e,skew ./test/e2e ./test/images
	go test -tags e2e -count=1 -timeout 60m ./test/images
	go run ./test/cluster bin
	@mkdir -p $(RESULTS)
	$(GOTESTSUM) --jsonfile $(RESULTS)/e2e.json -- -tags e2e -count=1 -timeout 120m ./test/e2e
	cd test/cluster && go test -tags e2e -count=1 -timeout 60m -run E2E ./...

.PHONY: certmanager
certmanager: ## build cert-manager for the end-to-end tests (the first time takes minutes)
	cd test/cluster/certmanager && GOWORK=off CGO_ENABLED=0 go vet -trimpath . && GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o ../../../bin/certmanager .

.PHONY: test-versions
test-versions: certmanager ## run the end-to-end tests on all VERSIONS of Kubernetes and on nodes of different versions, and write docs/contributing/versions.md (takes hours)
	@mkdir -p $(RESULTS)
	@set -e; for version in $(VERSIONS); do \
	  export KUBERNETES_VERSION=$$version; go run ./test/cluster bin; \
	  $(GOTESTSUM) --jsonfile $(RESULTS)/e2e-$$version.json -- -tags e2e -count=1 -timeout 120m ./test/e2e || true; \
	done
	go run ./test/versions $(VERSIONS:%=$(RESULTS)/e2e-%.json)
	OTHER_KUBERNETES_VERSION=$(firstword $(VERSIONS)) go test -tags 'e2e skew' -count=1 -timeout 60m -v -run TestNodesOfDifferentVersions ./test/e2e

.PHONY: test-arm64
test-arm64: ## run the wrapper's tests on arm64 and with a clock that is set, in a virtual machine (requires Debian)
	go run ./test/vm

.PHONY: chaos
chaos: ## run random pods on a real cluster with restarting components for the time CHAOS
	CHAOS=$(CHAOS) go test -tags e2e -count=1 -timeout 12h -v -run TestRandomPods ./test/e2e

.PHONY: outage
outage: ## stop the API server of a real cluster for the time OUTAGE while containers wait and run
	OUTAGE=$(OUTAGE) go test -tags e2e -count=1 -timeout 12h -v -run TestTheOrderHoldsWhileTheAPIServerRestarts ./test/e2e

.PHONY: mutate
mutate: ## run mutation tests of the wrapper and webhook/inject (takes hours)
	@set -e; for package in $(MUTATED); do go run $(GREMLINS) unleash --workers 2 --timeout-coefficient 10 --exclude-files / $$package; done

.PHONY: conformance
conformance: ## write docs/contributing/conformance.md from the results of make unit and make e2e
	go run ./test/conformance $(RESULTS)/unit.json $(RESULTS)/e2e.json

.PHONY: race
race: ## run unit tests with the race detector (requires a C compiler)
	go test -race ./...

.PHONY: fuzz
fuzz: ## run each fuzz target for the time FUZZTIME
	go run ./test/fuzz -time $(FUZZTIME)

.PHONY: bench
bench: ## run benchmarks: processes compared with similar programs, then single functions
	go run ./test/bench -write
	go test -run '^$$' -bench . ./wrapper/... ./webhook/...

.PHONY: fmt
fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

.PHONY: lint
lint: ## check code and prose: golangci-lint and vale (requires a C compiler)
	go run $(GOLANGCI) run ./...
	go run ./test/prose go run $(VALE)

.PHONY: docs
docs: ## generate the pictures of the documentation in docs/pictures/
	go run ./test/diagrams docs/pictures

.PHONY: generate
generate: ## write generated files: config/, the README and the schema of the chart, docs/reference/cli, docs/reference/messages.md
	go run ./test/schema charts/koordinator
	GOWORK=off HELM='$(HELM)' sh config/generate.sh
	GOWORK=off go run $(HELM_DOCS) --chart-search-root charts/koordinator --sort-values-order file --log-level warning
	go test -count=1 -run TestThePagesAreThoseOfTheCommands ./cli/command -update
	go test -count=1 -run TestThePageOfMessages ./webhook/admission -update

.PHONY: verify
verify: generate docs ## verify that generated files, formatting and modules are up to date
	git diff --exit-code config charts docs/reference/cli docs/reference/messages.md docs/pictures
	GOWORK=off $(HELM) lint --strict charts/koordinator
	test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	GOWORK=off go mod tidy -diff
	cd test/cluster && GOWORK=off go mod tidy -diff
	cd test/cluster/certmanager && GOWORK=off go mod tidy -diff

.PHONY: clean
clean: ## remove bin/
	rm -rf bin
