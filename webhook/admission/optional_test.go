package admission

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestB3OptionalDependencyOnAContainerThatThePodDoesNotHave(t *testing.T) {
	const dropped = `no container "cache" in this pod (has: "main", "proxy"), so the optional start dependency is ignored`
	for _, tt := range []struct {
		name, key, value string
		want             string
		deps             []string
	}{
		{
			name: "with another", key: "start-deps", value: "main: proxy=started, cache?",
			want: `Warning: koordinator.io/start-deps: container "main": ` + dropped, deps: []string{"proxy=started"},
		},
		{
			name: "alone, with a condition", key: "start-deps", value: "main: cache=succeeded?",
			want: `Warning: koordinator.io/start-deps: container "main": ` + dropped,
		},
		{
			name: "in a spec object", key: "spec", value: "main: {startDeps: [proxy=started, {container: cache, optional: true}]}",
			want: `Warning: koordinator.io/spec: container "main": startDeps: ` + dropped, deps: []string{"proxy=started"},
		},
		{
			name: "of another webhook, which may come", key: "start-deps", value: "main: istio-proxy?",
			deps: []string{"istio-proxy=ready?"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			annotations := given(tt.key, tt.value)
			pod := podOf(t, "Never main proxy", annotations)
			if diff := cmp.Diff(tt.want, strings.TrimSpace(words(ask(t, pod)))); diff != "" {
				t.Fatalf("(-want +have):\n%s", diff)
			}
			var injected corev1.Pod
			if err := json.Unmarshal(patched(t, pod, ask(t, pod)), &injected); err != nil {
				t.Fatal(err)
			}
			var deps []string
			for _, d := range specOf(t, &injected, "main").StartDeps {
				deps = append(deps, d.String())
			}
			if diff := cmp.Diff(tt.deps, deps); diff != "" {
				t.Errorf("the wrapper waits for (-want +have):\n%s", diff)
			}
			if diff := cmp.Diff(strings.Replace(tt.want, "Warning: ", "Warning: spec.template: ", 1), template(t, "Never main proxy", annotations, nil)); diff != "" {
				t.Errorf("in a template (-want +have):\n%s", diff)
			}
		})
	}
}

func TestB3DependenciesThatHaveToBeThere(t *testing.T) {
	for _, annotations := range []map[string]string{
		given("start-deps", "main: cache"), given("stop-deps", "main: cache"), given("essential", "cache"), given("start-deps", "cache: 'main?'"),
	} {
		if have := words(ask(t, podOf(t, "Never main proxy", annotations))); !strings.Contains(have, `422 `) || !strings.Contains(have, `no container "cache" in this pod`) {
			t.Errorf("%v: %s, want it refused", annotations, have)
		}
	}
}
