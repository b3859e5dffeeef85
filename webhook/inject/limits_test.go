package inject_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"koordinator.io/koordinator/test/sketch"
	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
)

// The API server validates container names only after the webhook. A message that
// lists all of them for each of thousands of mistakes would use up the memory.
func TestMistakesTakeNoMoreMemoryThanWhatIsTold(t *testing.T) {
	names := "Never"
	for i := range 199 {
		names += fmt.Sprintf(" c%d%s", i, strings.Repeat("x", 10000))
	}
	var unknown, exits, ready strings.Builder
	unknown.WriteString("main: ")
	for i := range 9000 {
		fmt.Fprintf(&unknown, "x%x,", i)
	}
	unknown.WriteString("main")
	long := strings.Repeat("y", 50)
	several := "Never"
	for i := range 60 {
		several += fmt.Sprintf(" a%d%s r%d n%d", i, long, i, i)
		if i > 0 {
			fmt.Fprintf(&exits, "a%d%s: a%d%s=exited\n", i, long, i-1, long)
		}
		fmt.Fprintf(&ready, "n%d: a59%s=exited", i, long)
		for k := range 60 {
			fmt.Fprintf(&ready, ", r%d", k)
		}
		ready.WriteString("\n")
	}
	for name, tt := range map[string]struct {
		pod         string
		annotations map[string]string
		told        func(n messages.Notes) bool
	}{
		"unknown containers": {names + " main", sketch.Annotations("start-deps", unknown.String()), func(n messages.Notes) bool {
			return len(n.Problems) == 100
		}},
		"contradictions": {several, sketch.Annotations("start-deps", exits.String()+ready.String(), "essential", "["+strings.ReplaceAll(strings.TrimPrefix(several, "Never "), " ", ", ")+"]"), func(n messages.Notes) bool {
			return len(n.Problems) == 0 && len(n.Warnings) == 100
		}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := sketch.Pod(tt.pod, tt.annotations)
			asked, _ := annotations.Read(pod.ObjectMeta, nil)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			notes := inject.Complete(inject.Plan(pod, asked, testSettings()), inject.Found{}).Notes
			runtime.ReadMemStats(&after)
			if !tt.told(notes) {
				t.Errorf("%.300s", words(notes))
			}
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 1024 {
				t.Errorf("%d MiB were allocated", took)
			}
		})
	}
}
