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
			seen["file"] = seen["file"] || strings.Contains(pod.Annotations["koordinator.io/start-deps"], "file:///events/")
			seen["*"] = seen["*"] || strings.Contains(pod.Annotations["koordinator.io/stop-deps"], `"*"`)
			seen["restart"] = seen["restart"] || pod.Annotations["koordinator.io/restart-with"] != ""
			for _, d := range append(c.StartDeps, c.StopDeps...) {
				seen[string(d.Condition)] = true
			}
		}
	}
	for _, want := range []string{"", string(Delete), string(Kill), "Never", "Always", "started", "ready", "exited", "succeeded", "failed", "file", "*", "restart"} {
		if !seen[want] {
			t.Errorf("no pod of 300 has %q", want)
		}
	}
}

// TestRulesBite checks each story with one fault, and the same story without it.
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
		{"as documented", "1.00 a runs\n2.00 a ready\n2.00 b runs\n3.00 b ends 3\n", "", 0, map[string]Fate{"b": {Ended: true, Code: 3}}, false},
		{"started too early", "1.00 a runs\n2.00 b runs\n2.50 a ready\n3.00 b ends 3\n", "it was not ready", 0, nil, false},
		{"stopped without a reason", "1.00 a runs\n1.50 a term\n", "no stop dependency", 0, nil, false},
		{"stopped by one of all", "1.00 a runs\n2.00 a ready\n2.00 b runs\n2.10 c runs\n3.00 b ends 3\n3.10 c term\n", "not every", 0, nil, false},
		{"another code", "1.00 a runs\n2.00 a ready\n2.00 b runs\n3.00 b ends 3\n", "reported code 0", 0, map[string]Fate{"b": {Ended: true, Code: 0}}, false},
		{"out of order", "1.00 a runs\n2.00 a ready\n2.00 b runs\n5.00 a term\n5.10 b term\n5.20 b ends 0\n", "which needs it", 4 * time.Second, nil, false},
		{"in order", "1.00 a runs\n2.00 a ready\n2.00 b runs\n5.10 b term\n5.20 b ends 0\n5.30 a term\n5.40 a ends 0\n", "", 4 * time.Second, nil, false},
		{"stopped for a dependency as the deletion begins", "1.00 a runs\n2.00 a ready\n2.00 b runs\n2.10 c runs\n2.20 e runs\n4.50 b ends 3\n4.51 e term\n", "", 4 * time.Second, nil, false},
		{"stopped for a dependency long after it", "1.00 a runs\n2.00 a ready\n2.00 b runs\n2.10 c runs\n2.20 e runs\n28.50 b ends 3\n28.51 e term\n", "which needs it", 4 * time.Second, nil, false},
		{"started after the deletion", "1.00 a runs\n2.00 a ready\n29.00 b runs\n", "after the pod was deleted", 4 * time.Second, nil, false},
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

// TestTheCodeOfACommandThatEndsDuringItsStop uses a command that exits by itself, for
// example while its preStop hook runs.
func TestTheCodeOfACommandThatEndsDuringItsStop(t *testing.T) {
	pod := Pod{Policy: "Never", Grace: 60 * time.Second, Containers: []Container{{Name: "a", StopDeps: []Dep{{"b", Exited, false}}, Code: 3}, {Name: "b"}}}
	for _, tt := range []struct {
		log  string
		code int
		ok   bool
	}{
		{"1.00 a runs\n1.00 b runs\n3.00 b ends 0\n3.50 a ends 3\n", 0, true},
		{"1.00 a runs\n1.00 b runs\n3.00 b ends 0\n3.50 a ends 3\n", 3, true},
		{"1.00 a runs\n1.00 b runs\n3.00 b ends 0\n3.50 a ends 3\n", 1, false},
		{"1.00 a runs\n1.00 b runs\n3.00 a ends 3\n3.50 b ends 0\n", 3, true},
		{"1.00 a runs\n1.00 b runs\n3.00 a ends 3\n3.50 b ends 0\n", 0, false},
	} {
		events, err := Parse(tt.log)
		if err != nil {
			t.Fatal(err)
		}
		s := Story{Pod: pod, Events: events, Fates: map[string]Fate{"a": {Ended: true, Code: tt.code}}, Over: true}
		if have := s.Violations(); (len(have) == 0) != tt.ok {
			t.Errorf("%q, code %d: violations %q", tt.log, tt.code, have)
		}
	}
}

func TestRulesBiteWhereContainersRestartTogether(t *testing.T) {
	pod := Pod{Policy: "Always", Grace: 60 * time.Second, Containers: []Container{
		{Name: "a", Runs: time.Second}, {Name: "b", Files: []string{"a"}, RestartWith: []string{"a"}},
	}}
	const up = "1.00 a runs\n1.50 a ready\n1.60 b runs\n2.00 a ends 0\n"
	const silent = "1.00 a runs\n1.50 a ready\n1.60 b runs\n1.70 b term\n1.80 b ends 0\n9.00 a runs\n"
	for _, tt := range []struct {
		name, log, want string
		outages         []Span
	}{
		{"as documented", up + "2.10 b term\n2.20 b ends 0\n", "", nil},
		{"not restarted", up, "b was not restarted when a ended", nil},
		{"restarted a second time for the same end", up + "2.10 b term\n2.20 b ends 0\n4.00 b runs\n5.00 b term\n", "nothing ends for good", nil},
		{"restarted without an end", "1.00 a runs\n1.50 a ready\n1.60 b runs\n1.70 b term\n", "nothing ends for good", nil},
		{"for a container that the runtime killed", silent, "", []Span{{0, 2 * time.Second}}},
		{"for a container that the runtime killed and has not started again", "1.00 a runs\n1.50 a ready\n1.60 b runs\n1.70 b term\n1.80 b ends 0\n", "", []Span{{0, 900 * time.Millisecond}}},
		{"for a container that a later restart killed", silent, "nothing ends for good", []Span{{5 * time.Second, 6 * time.Second}}},
		{"replaced because the runtime did not know its start", "1.00 a runs\n1.50 a ready\n1.60 b runs\n1.70 b term\n", "", []Span{{time.Second, 2 * time.Second}}},
		{"started without the file", "1.00 a runs\n1.10 b runs\n1.50 a ready\n", "had not made its file", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, err := Parse(tt.log)
			if err != nil {
				t.Fatal(err)
			}
			have := strings.Join(Story{Pod: pod, Events: events, Outages: tt.outages, Deleted: 100 * time.Second, Over: true}.Violations(), "\n")
			if tt.want == "" && have != "" || !strings.Contains(have, tt.want) {
				t.Errorf("violations %q, want %q", have, tt.want)
			}
		})
	}
}

// A stop request may be late if the kubelet was restarted, and exit codes may be lost if
// the runtime was restarted. Neither excuses an unrelated violation.
func TestRestartsOfTheNodesPartsAreAllowedFor(t *testing.T) {
	pod := Pod{Policy: "Never", Grace: 60 * time.Second, Containers: []Container{{Name: "a"}, {Name: "b", StartDeps: []Dep{{"a", Started, false}}, Code: 3}}}
	const replaced = "1.00 a runs\n3.00 b runs\n3.70 b term\n3.80 b ends 0\n3.90 b runs\n4.90 b ends 3\n"
	for _, tt := range []struct {
		name, log, want string
		deleted         time.Duration
		outages         []Span
		fates           map[string]Fate
	}{
		{"started late after a restart", "1.00 a runs\n9.00 b runs\n", "", 4 * time.Second, []Span{{3 * time.Second, 5 * time.Second}}, nil},
		{"started long after it", "1.00 a runs\n49.00 b runs\n", "after the pod was deleted", 4 * time.Second, []Span{{3 * time.Second, 5 * time.Second}}, nil},
		{"a restart long before", "1.00 a runs\n89.00 b runs\n", "after the pod was deleted", 60 * time.Second, []Span{{3 * time.Second, 5 * time.Second}}, nil},
		{"a restart long after", "1.00 a runs\n29.00 b runs\n", "after the pod was deleted", 4 * time.Second, []Span{{30 * time.Second, 35 * time.Second}}, nil},
		{"a lost exit code", "1.00 a runs\n2.00 b runs\n3.00 b ends 3\n", "", 0, nil, map[string]Fate{"b": {Ended: true, Lost: true, Code: 255}}},
		{"a start that a restart prevented", "1.00 a runs\n9.00 a ends 0\n", "", 0, []Span{{3 * time.Second, 5 * time.Second}}, map[string]Fate{"b": {Ended: true, Unstarted: true, Code: 128}}},
		{"a start that failed for another reason", "1.00 a runs\n9.00 a ends 0\n", "reported code 128", 0, []Span{{30 * time.Second, 35 * time.Second}}, map[string]Fate{"b": {Ended: true, Unstarted: true, Code: 128}}},
		{"replaced because the runtime did not know its start", replaced, "", 0, []Span{{3 * time.Second, 5 * time.Second}}, map[string]Fate{"b": {Ended: true, Code: 3}}},
		{"replaced although the runtime knew its start", replaced, "b was started twice under restartPolicy Never\nb got SIGTERM at 3.7s: it has no stop dependency", 0, []Span{{1 * time.Second, 2 * time.Second}}, map[string]Fate{"b": {Ended: true}}},
		{"replaced by a wrapper that did not run the command", "1.00 a runs\n3.00 b runs\n3.70 b term\n3.80 b ends 0\n", "", 0, []Span{{3 * time.Second, 5 * time.Second}}, map[string]Fate{"b": {Ended: true, Code: 0, Restarts: 1}}},
		{"replaced, with a back-off before the next start", "1.00 a runs\n3.00 b runs\n3.70 b term\n3.80 b ends 0\n", "", 0, []Span{{3 * time.Second, 5 * time.Second}}, map[string]Fate{"b": {Waiting: true}}},
		{"replaced before the deletion", "1.00 a runs\n3.00 b runs\n3.70 b term\n3.80 b ends 0\n", "", 4 * time.Second, []Span{{3 * time.Second, 5 * time.Second}}, nil},
		{"stopped for good during a restart", "1.00 a runs\n3.00 b runs\n3.70 b term\n3.80 b ends 0\n", "b got SIGTERM at 3.7s: it has no stop dependency", 0, []Span{{3 * time.Second, 5 * time.Second}}, map[string]Fate{"b": {Ended: true}}},
		{"a command that the runtime ended before its first word", "3.00 b runs\n4.00 b ends 3\n", "", 0, []Span{{3 * time.Second, 5 * time.Second}}, map[string]Fate{"a": {Ended: true, Unstarted: true}}},
		{"a command without a word", "3.00 b runs\n4.00 b ends 3\n", "its command was not started", 0, nil, map[string]Fate{"a": {Ended: true, Unstarted: true}}},
		{"a stop request that comes again after a restart", "1.00 a runs\n2.00 b runs\n6.00 a term\n6.10 a ends 0\n", "", 4 * time.Second, []Span{{4 * time.Second, 5 * time.Second}}, nil},
		{"a stop request out of order", "1.00 a runs\n2.00 b runs\n6.00 a term\n6.10 a ends 0\n", "which needs it", 4 * time.Second, nil, nil},
		{"replaced, with another exit code", replaced, "b reported code 4", 0, []Span{{3 * time.Second, 5 * time.Second}}, map[string]Fate{"b": {Ended: true, Code: 4}}},
		{"the same code of the wrapper", "1.00 a runs\n2.00 b runs\n3.00 b ends 3\n", "reported code 255", 0, nil, map[string]Fate{"b": {Ended: true, Code: 255}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, err := Parse(tt.log)
			if err != nil {
				t.Fatal(err)
			}
			s := Story{Pod: pod, Events: events, Fates: tt.fates, Deleted: tt.deleted, Outages: tt.outages, Over: true}
			have := strings.Join(s.Violations(), "\n")
			if tt.want == "" && have != "" || !strings.Contains(have, tt.want) {
				t.Errorf("violations %q, want %q", have, tt.want)
			}
		})
	}
}
