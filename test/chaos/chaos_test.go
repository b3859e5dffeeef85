package chaos

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func TestManifestsAreOnesOfKubernetes(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(300) {
		p := New(seed)
		var pod corev1.Pod
		if err := yaml.UnmarshalStrict([]byte(p.Manifest("p", "/tmp/events")), &pod); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, p.Manifest("p", "/tmp/events"))
		}
		if len(pod.Spec.Containers) != len(p.Containers) {
			t.Fatalf("seed %d: %d containers, want %d", seed, len(pod.Spec.Containers), len(p.Containers))
		}
		seen[string(p.Mishap)], seen[p.Policy] = true, true
		for _, c := range p.Containers {
			for _, d := range append(c.StartDeps, c.StopDeps...) {
				seen[string(d.Condition)] = true
			}
		}
	}
	for _, want := range []string{"", string(Delete), string(Kill), "Never", "Always", "started", "ready", "exited", "succeeded", "failed"} {
		if !seen[want] {
			t.Errorf("no pod of 300 has %q", want)
		}
	}
}

// TestRulesBite tells stories with one fault each, and the same without it.
func TestRulesBite(t *testing.T) {
	pod := Pod{Policy: "Never", Grace: 60 * time.Second, Containers: []Container{
		{Name: "a", Probe: true},
		{Name: "b", StartDeps: []Dep{{"a", Ready, false}}, Code: 3, Runs: time.Second},
		{Name: "c", StopDeps: []Dep{{"b", Exited, false}, {"a", Exited, false}}, StopAll: true},
		{Name: "e", StopDeps: []Dep{{"c", Exited, false}, {"b", Exited, false}}},
	}}
	for _, tt := range []struct {
		name, log, want string
		deleted         time.Duration
		fates           map[string]Fate
		left            bool
	}{
		{"as documented", "1.00 a runs\n2.00 a ready\n2.00 b runs\n3.00 b ends 3\n", "", 0, map[string]Fate{"b": {true, 3}}, false},
		{"started too early", "1.00 a runs\n2.00 b runs\n2.50 a ready\n3.00 b ends 3\n", "it was not ready", 0, nil, false},
		{"stopped without a reason", "1.00 a runs\n1.50 a term\n", "no stop dependency", 0, nil, false},
		{"stopped by one of all", "1.00 a runs\n2.00 a ready\n2.00 b runs\n2.10 c runs\n3.00 b ends 3\n3.10 c term\n", "not every", 0, nil, false},
		{"another code", "1.00 a runs\n2.00 a ready\n2.00 b runs\n3.00 b ends 3\n", "reported code 0", 0, map[string]Fate{"b": {true, 0}}, false},
		{"out of order", "1.00 a runs\n2.00 a ready\n2.00 b runs\n5.00 a term\n5.10 b term\n5.20 b ends 0\n", "which needs it", 4 * time.Second, nil, false},
		{"in order", "1.00 a runs\n2.00 a ready\n2.00 b runs\n5.10 b term\n5.20 b ends 0\n5.30 a term\n5.40 a ends 0\n", "", 4 * time.Second, nil, false},
		{"stopped for a dependency as the deletion begins", "1.00 a runs\n2.00 a ready\n2.00 b runs\n2.10 c runs\n2.20 e runs\n4.50 b ends 3\n4.51 e term\n", "", 4 * time.Second, nil, false},
		{"stopped for a dependency long after it", "1.00 a runs\n2.00 a ready\n2.00 b runs\n2.10 c runs\n2.20 e runs\n8.50 b ends 3\n8.51 e term\n", "which needs it", 4 * time.Second, nil, false},
		{"started after the deletion", "1.00 a runs\n2.00 a ready\n9.00 b runs\n", "after the pod was deleted", 4 * time.Second, nil, false},
		{"twice", "1.00 a runs\n2.00 a ready\n2.00 b runs\n3.00 b ends 3\n4.00 b runs\n", "started twice", 0, nil, false},
		{"left", "1.00 a runs\n", "are left", 0, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, err := Parse(tt.log)
			if err != nil {
				t.Fatal(err)
			}
			s := Story{Pod: pod, Events: events, Fates: tt.fates, Deleted: tt.deleted, Over: !tt.left}
			have := strings.Join(s.Violations(), "\n")
			if tt.want == "" && have != "" || !strings.Contains(have, tt.want) {
				t.Errorf("violations %q, want %q", have, tt.want)
			}
		})
	}
}
