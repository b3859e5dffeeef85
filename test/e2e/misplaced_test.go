//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// misplaced lists workloads with their annotations in the wrong place, by the place that
// the warning must name.
var misplaced = map[string]string{
	"koordinator.io/start-deps: this annotation has no effect here, because koordinator reads annotations of the pod. Write it in spec.template.metadata.annotations [KO603]": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: x, annotations: {koordinator.io/start-deps: "main: proxy"}}
spec:
  replicas: 0
  selector: {matchLabels: {app: x}}
  template:
    metadata: {labels: {app: x}}
    spec: {containers: [{name: main, image: x}]}
`,
	"koordinator.io/stop-deps: this annotation has no effect here, because koordinator reads annotations of the pod. Write it in spec.jobTemplate.spec.template.metadata.annotations [KO603]": `
apiVersion: batch/v1
kind: CronJob
metadata: {name: x}
spec:
  schedule: "0 3 * * *"
  suspend: true
  jobTemplate:
    metadata: {annotations: {koordinator.io/stop-deps: "proxy: main"}}
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: main, image: x}]}
`,
	"essential-containers: this label has no effect here, because koordinator reads it on the pod. Write it in spec.template.metadata.labels [KO603]": `
apiVersion: batch/v1
kind: Job
metadata: {name: x, labels: {essential-containers: main}}
spec:
  suspend: true
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: x}]}
`,
	"koordinator.io/start-deps: this annotation has no effect here, because koordinator reads annotations of the pod. Write it in metadata.annotations [KO603]": `
apiVersion: v1
kind: Pod
metadata: {name: x, labels: {koordinator.io/start-deps: proxy}}
spec: {containers: [{name: main, image: x}]}
`,
	"metadata.labels[koordinator.io/inject]: this has no effect on a namespace. To enable koordinator: kubectl label namespace b1-typo koordinator.io/injection=enabled [KO604]": `
apiVersion: v1
kind: Namespace
metadata: {name: b1-typo, labels: {koordinator.io/inject: enabled}}
`,
	"metadata.annotations[koordinator.io/injection]: this has no effect on a namespace. To enable koordinator: kubectl label namespace b1-annotation koordinator.io/injection=enabled [KO604]": `
apiVersion: v1
kind: Namespace
metadata: {name: b1-annotation, annotations: {koordinator.io/injection: enabled}}
`,
}

func TestB1AnnotationsInTheWrongPlaceAreWarnedOf(t *testing.T) {
	abreast(t)
	on := namespace(t, enabled)
	for _, ns := range []string{on, namespace(t)} {
		for want, manifest := range misplaced {
			if said := told(t, manifest, "-n", ns, "create", "--dry-run=server", "-f", "-"); !strings.Contains(said, want) {
				t.Errorf("want %q: said %q", want, said)
			}
		}
	}
	for kind, manifest := range workloads(notes{"start-deps": "main: proxy=started"}) {
		everywhere := strings.Replace(manifest, "metadata: {name: x}", `metadata: {name: x, annotations: {koordinator.io/start-deps: "main: proxy=started"}}`, 1)
		if said := told(t, everywhere, "-n", on, "create", "--dry-run=server", "-f", "-"); said != "" {
			t.Errorf("%s with the annotation in both places: said %q", kind, said)
		}
	}
}
