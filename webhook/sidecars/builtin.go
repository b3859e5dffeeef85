package sidecars

import "koordinator.io/koordinator/wrapper/spec"

// post returns a POST request.
func post(url string) *spec.Request { return &spec.Request{Method: "POST", URL: url} }

// Builtin returns the table without an operator's entries.
func Builtin() Table {
	return Table{
		// Ports 15021 and 15020: https://istio.io/latest/docs/ops/deployment/application-requirements/
		// /quitquitquit of pilot-agent: https://github.com/istio/istio/issues/15041
		"istio-proxy": {
			Injected: true,
			Ready:    "http://127.0.0.1:15021/healthz/ready",
			Stop:     post("http://127.0.0.1:15020/quitquitquit"),
		},
		// /ready and /shutdown: https://github.com/linkerd/linkerd2-proxy/pull/811
		// /shutdown is off by default: https://github.com/linkerd/linkerd2/pull/12705
		"linkerd-proxy": {
			Injected:        true,
			Ready:           "http://127.0.0.1:4191/ready",
			Stop:            post("http://127.0.0.1:4191/shutdown"),
			NeedsAnnotation: "config.linkerd.io/proxy-admin-shutdown=enabled",
		},
		// --health-check (--http-port, 9090) and --quitquitquit (--admin-port, 9091):
		// https://github.com/GoogleCloudPlatform/cloud-sql-proxy/blob/main/docs/cmd/cloud-sql-proxy.md
		"cloud-sql-proxy": {
			Ready: "http://127.0.0.1:9090/readiness", ReadyFlag: "--health-check",
			Stop: post("http://127.0.0.1:9091/quitquitquit"), StopFlag: "--quitquitquit",
			Instead: `Add the argument --quitquitquit to it`,
		},
		// The same options and ports:
		// https://github.com/GoogleCloudPlatform/alloydb-auth-proxy/blob/main/docs/cmd/alloydb-auth-proxy.md
		"alloydb-auth-proxy": {
			Ready: "http://127.0.0.1:9090/readiness", ReadyFlag: "--health-check",
			Stop: post("http://127.0.0.1:9091/quitquitquit"), StopFlag: "--quitquitquit",
			Instead: `Add the argument --quitquitquit to it`,
		},
		// /agent/v1/quit: https://developer.hashicorp.com/vault/docs/agent-and-proxy/agent#quit
		// and https://developer.hashicorp.com/vault/docs/platform/k8s/injector/annotations (agent-enable-quit,
		// agent-cache-listener-port 8200). It has no endpoint that is there in every setup.
		"vault-agent": {
			Injected:        true,
			Stop:            post("http://127.0.0.1:8200/agent/v1/quit"),
			NeedsAnnotation: "vault.hashicorp.com/agent-enable-quit=true",
		},
		// https://docs.dapr.io/reference/api/health_api/ (outbound does not wait for the application)
		// https://docs.dapr.io/reference/api/shutdown_api/
		"daprd": {
			Injected: true,
			Ready:    "http://127.0.0.1:3500/v1.0/healthz/outbound",
			Stop:     post("http://127.0.0.1:3500/v1.0/shutdown"),
		},
		// The name: https://github.com/open-telemetry/opentelemetry-operator/blob/main/internal/naming/main.go
		// The extension health_check, localhost:13133 and path /:
		// https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/extension/healthcheckextension
		"otc-container": {
			Injected: true,
			Ready:    "http://127.0.0.1:13133/",
			Instead:  "Let the OpenTelemetry operator inject the collector as a native sidecar, which the kubelet stops",
		},
		// The control plane stops it: https://github.com/kumahq/kuma/pull/1497
		// Other containers cannot, where Envoy's administration API is on a Unix socket:
		// https://github.com/kumahq/kuma/pull/15795
		// No ready endpoint has the same meaning in every version:
		// https://github.com/kumahq/kuma/pull/18346
		"kuma-sidecar": {
			Injected: true,
			Instead:  "Remove the stop dependency: Kuma's control plane stops it when the other containers have exited",
		},
		// Port 20600 and /graceful_shutdown, as consul-k8s sets them:
		// https://github.com/hashicorp/consul-k8s/pull/2233. Its readiness is on the pod's address only.
		"consul-dataplane": {
			Injected:        true,
			Stop:            post("http://127.0.0.1:20600/graceful_shutdown"),
			NeedsAnnotation: "consul.hashicorp.com/enable-sidecar-proxy-lifecycle=true",
		},
		// https://github.com/GoogleCloudPlatform/gcs-fuse-csi-driver/blob/main/docs/known-issues.md: the driver
		// ends it when the other containers have exited.
		"gke-gcsfuse-sidecar": {
			Injected: true,
			Instead:  "Remove the stop dependency: the Cloud Storage FUSE driver stops it when the other containers have exited",
		},
		// /ready and POST /quitquitquit: https://www.envoyproxy.io/docs/envoy/latest/operations/admin
		// Port 9901 is that of Envoy's examples.
		"envoy": {
			Ready: "http://127.0.0.1:9901/ready",
			Stop:  post("http://127.0.0.1:9901/quitquitquit"),
		},
	}
}
