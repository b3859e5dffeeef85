package inject_test

import (
	"fmt"
	"strings"
	"testing"

	"koordinator.io/koordinator/test/sketch"
)

func TestB4OrdersThatSomeRunGetsPast(t *testing.T) {
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		want        string // "" when nothing is said
	}{
		{
			name: "stopped by the exit it starts after, and another's", pod: "Never a b c",
			annotations: sketch.Annotations("start-deps", "a: b=succeeded", "stop-deps", "a: b, c", "stop-when", "a: all"),
		},
		{
			name: "ready until the exit that the start is after, and another's", pod: "Never c d e f",
			annotations: sketch.Annotations("start-deps", "f: d=started, e=succeeded", "stop-deps", "d: c, e", "stop-when", "d: all"),
		},
		{
			name: "two that stop with each other, through a third", pod: "Never a b c",
			annotations: sketch.Annotations("start-deps", "c: b=started", "stop-deps", "{b: c, c: 'b, a', a: b}"),
		},
		{
			name: "a cycle that a start timeout ends", pod: "Never a b",
			annotations: sketch.Annotations("start-deps", "{a: b=started, b: a=started}", "start-timeout", "a: 5s", "on-start-timeout", "a: start"),
			want:        `Warning: koordinator.io/start-deps: container "a": cycle a → b → a: each waits for the next, until a start timeout or a stop dependency ends the wait of one: remove one of these dependencies`,
		},
		{
			name: "ready and after what needs its exit", pod: "Never a b c",
			annotations: sketch.Annotations("start-deps", "{a: 'b=exited?, c=started', c: b=exited}"),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, sketch.Pod(tt.pod, tt.annotations), tt.want)
		})
	}
}

func TestB4OrdersThatNoRunGetsPast(t *testing.T) {
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		want        string
	}{
		{
			name: "ready and after one that started after its exit", pod: "Never a b c",
			annotations: sketch.Annotations("start-deps", "{a: 'b, c=started', c: b=exited}"),
			want:        `koordinator.io/start-deps: container "a": "a" never starts: its start dependencies (b=ready and c=started) never hold at the same moment: remove one of them`,
		},
		{
			name: "all of its stop dependencies hold when it may start", pod: "Never a b c",
			annotations: sketch.Annotations("start-deps", "a: b=succeeded, c=exited", "stop-deps", "a: b, c", "stop-when", "a: all"),
			want:        `koordinator.io/start-deps: container "a": "a" never starts: when its start dependencies hold (b=succeeded and c=exited), its stop dependencies hold too (b=exited or c=exited): remove one of them`,
		},
		{
			name: "what waits for such a one is not told of, too", pod: "Never a b c",
			annotations: sketch.Annotations("start-deps", "{a: b=succeeded, c: a=started}", "stop-deps", "a: b"),
			want:        `koordinator.io/start-deps: container "a": "a" starts after "b=succeeded" (a → b) and is stopped by it (koordinator.io/stop-deps: container "a"): it would be stopped as it starts: remove one of the two`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, sketch.Pod(tt.pod, tt.annotations), tt.want)
		})
	}
}

func TestA18AStoppedSidecarThatIsStartedAgain(t *testing.T) {
	const remedy = `it is stopped and restarted indefinitely, because its stopped-exit-code is not 0 (restartPolicy: OnFailure): remove stopped-exit-code, or set restartPolicy: Never`
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		want        string // "" when nothing is said
	}{
		{
			name: "with the command's code", pod: "OnFailure main side", annotations: sketch.Annotations("stop-deps", "side: main", "stopped-exit-code", "side: child"),
			want: `Warning: koordinator.io/stopped-exit-code: container "side": if "main" exits with code 0, "side" never exits for good: ` + remedy,
		},
		{
			name: "with a code that is not 0", pod: "OnFailure main side", annotations: sketch.Annotations("stop-deps", "side: main=succeeded", "stopped-exit-code", "side: 5"),
			want: `Warning: koordinator.io/stopped-exit-code: container "side": if "main" exits with code 0, "side" never exits for good: ` + remedy,
		},
		{
			name: "by an essential container", pod: "OnFailure main side", annotations: sketch.Annotations("essential", "main", "stopped-exit-code", "child"),
			want: `Warning: koordinator.io/stopped-exit-code: if "main" exits with code 0, "side" never exits for good: ` + remedy,
		},
		{
			name: "after what it was started for", pod: "OnFailure migrate main side", annotations: sketch.Annotations("start-deps", "{main: [migrate=succeeded, side=started], migrate: side=started}", "stop-deps", "side: main", "stopped-exit-code", "side: 5"),
			want: `Warning: koordinator.io/stopped-exit-code: container "side": if "migrate" exits with code 0 and "main" exits with code 0, "side" never exits for good: ` + remedy,
		},
		{name: "with code 0", pod: "OnFailure main side", annotations: sketch.Annotations("stop-deps", "side: main")},
		{name: "where no exit is followed by a start", pod: "Never main side", annotations: sketch.Annotations("stop-deps", "side: main", "stopped-exit-code", "side: child")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, sketch.Pod(tt.pod, tt.annotations), tt.want)
		})
	}
}

// A pod that is too large to be explored gets the rules for pairs.
func TestB4LargePodsAreJudgedByPairs(t *testing.T) {
	names := "a b"
	deps := []string{"a: b=succeeded"}
	for i := range 20 {
		names += fmt.Sprintf(" x%d", i)
		deps = append(deps, fmt.Sprintf("x%d: b=started", i))
	}
	check(t, sketch.Pod("Never "+names, sketch.Annotations("start-deps", "{"+strings.Join(deps, ", ")+"}", "stop-deps", "a: b")),
		`koordinator.io/start-deps: container "a": "a" starts after "b=succeeded" (a → b) and is stopped by it (koordinator.io/stop-deps: container "a"): it would be stopped as it starts: remove one of the two`)
}
