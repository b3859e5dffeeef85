package inject_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/test/sketch"
)

func TestB3OptionalDependencyOnAContainerThatThePodDoesNotHave(t *testing.T) {
	const dropped = `the optional start dependency is ignored: this pod has no container "cache" (it has "main", "proxy"). Correct the name, or remove it [KO202]`
	for _, tt := range []struct {
		name, key, value string
		want             string
		deps             []string
	}{
		{
			name: "with another", key: "start-deps", value: "main: proxy=started, cache?",
			want: `Warning: metadata.annotations[koordinator.io/start-deps][main]: ` + dropped, deps: []string{"proxy=started"},
		},
		{
			name: "alone, with a condition", key: "start-deps", value: "main: cache=succeeded?",
			want: `Warning: metadata.annotations[koordinator.io/start-deps][main]: ` + dropped,
		},
		{
			name: "in a spec object", key: "spec", value: "main: {startDeps: [proxy=started, {container: cache, optional: true}]}",
			want: `Warning: metadata.annotations[koordinator.io/spec][main].startDeps: ` + dropped, deps: []string{"proxy=started"},
		},
		{
			name: "of another webhook, which may come", key: "start-deps", value: "main: istio-proxy?",
			deps: []string{"istio-proxy=ready?"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := sketch.Pod("Never main proxy", sketch.Annotations(tt.key, tt.value))
			check(t, pod, tt.want)
			var deps []string
			for _, d := range specsOf(t, pod)["main"].StartDeps {
				deps = append(deps, d.String())
			}
			if diff := cmp.Diff(tt.deps, deps); diff != "" {
				t.Errorf("the wrapper waits for (-want +have):\n%s", diff)
			}
		})
	}
}

func TestB3DependenciesThatHaveToBeThere(t *testing.T) {
	for _, annotations := range []map[string]string{
		sketch.Annotations("start-deps", "main: cache"), sketch.Annotations("stop-deps", "main: cache"), sketch.Annotations("essential", "cache"), sketch.Annotations("start-deps", "cache: 'main?'"),
	} {
		problems := plan(sketch.Pod("Never main proxy", annotations)).Problems
		if len(problems) == 0 || !strings.Contains(problems[0].Sentence, `no container "cache"`) {
			t.Errorf("%v: %v, want it refused", annotations, problems)
		}
	}
}
