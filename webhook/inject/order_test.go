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
		want        string // "" if there is no message
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
			want:        `Warning: metadata.annotations[koordinator.io/start-deps][a]: these containers wait for each other in a cycle until a start timeout or a stop dependency ends the wait of one: a → b → a. Remove one of these dependencies [KO203]`,
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
			want:        `metadata.annotations[koordinator.io/start-deps][a]: "a" never starts, because its start dependencies (b=ready and c=started) are never met at the same moment. Remove one of these dependencies [KO205]`,
		},
		{
			name: "all of its stop dependencies hold when it may start", pod: "Never a b c",
			annotations: sketch.Annotations("start-deps", "a: b=succeeded, c=exited", "stop-deps", "a: b, c", "stop-when", "a: all"),
			want:        `metadata.annotations[koordinator.io/start-deps][a]: "a" never starts, because its stop conditions (b=exited and c=exited) hold whenever its start dependencies (b=succeeded and c=exited) are met. Remove one of these dependencies [KO205]`,
		},
		{
			name: "what waits for such a one is not told of, too", pod: "Never a b c",
			annotations: sketch.Annotations("start-deps", "{a: b=succeeded, c: a=started}", "stop-deps", "a: b"),
			want:        `metadata.annotations[koordinator.io/start-deps][a]: "a" would be stopped when it starts: it starts after "b=succeeded" (a → b), which also stops it (koordinator.io/stop-deps). Remove one of these dependencies [KO206]`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, sketch.Pod(tt.pod, tt.annotations), tt.want)
		})
	}
}

func TestA18AStoppedSidecarThatIsStartedAgain(t *testing.T) {
	const remedy = `it is stopped and restarted indefinitely, because its stopped-exit-code is not 0 (restartPolicy: OnFailure). Remove stopped-exit-code, or set restartPolicy: Never [KO210]`
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		want        string // "" if there is no message
	}{
		{
			name: "with the command's code", pod: "OnFailure main side", annotations: sketch.Annotations("stop-deps", "side: main", "stopped-exit-code", "side: child"),
			want: `Warning: metadata.annotations[koordinator.io/stopped-exit-code][side]: if "main" exits with code 0, "side" never exits permanently: ` + remedy,
		},
		{
			name: "with a code that is not 0", pod: "OnFailure main side", annotations: sketch.Annotations("stop-deps", "side: main=succeeded", "stopped-exit-code", "side: 5"),
			want: `Warning: metadata.annotations[koordinator.io/stopped-exit-code][side]: if "main" exits with code 0, "side" never exits permanently: ` + remedy,
		},
		{
			name: "by an essential container", pod: "OnFailure main side", annotations: sketch.Annotations("essential", "main", "stopped-exit-code", "child"),
			want: `Warning: metadata.annotations[koordinator.io/stopped-exit-code]: if "main" exits with code 0, "side" never exits permanently: ` + remedy,
		},
		{
			name: "after what it was started for", pod: "OnFailure migrate main side", annotations: sketch.Annotations("start-deps", "{main: [migrate=succeeded, side=started], migrate: side=started}", "stop-deps", "side: main", "stopped-exit-code", "side: 5"),
			want: `Warning: metadata.annotations[koordinator.io/stopped-exit-code][side]: if "migrate" exits with code 0 and "main" exits with code 0, "side" never exits permanently: ` + remedy,
		},
		{
			name: "by its rules", pod: "Never main side/Never+0", annotations: sketch.Annotations("stop-deps", "side: main=succeeded"),
			want: `Warning: metadata.annotations[koordinator.io/stop-deps][side]: if "main" exits with code 0, "side" never exits permanently: it is stopped and restarted indefinitely, because its restartPolicyRules restart it with the exit code that it reports then. Change the rules, or stopped-exit-code [KO210]`,
		},
		{name: "with code 0", pod: "OnFailure main side", annotations: sketch.Annotations("stop-deps", "side: main")},
		{name: "where no exit is followed by a start", pod: "Never main side", annotations: sketch.Annotations("stop-deps", "side: main", "stopped-exit-code", "side: child")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, sketch.Pod(tt.pod, tt.annotations), tt.want)
		})
	}
}

// A pod that is too large to be explored is checked by the rules for pairs.
func TestB4LargePodsAreJudgedByPairs(t *testing.T) {
	names := "a b"
	deps := []string{"a: b=succeeded"}
	for i := range 20 {
		names += fmt.Sprintf(" x%d", i)
		deps = append(deps, fmt.Sprintf("x%d: b=started", i))
	}
	check(t, sketch.Pod("Never "+names, sketch.Annotations("start-deps", "{"+strings.Join(deps, ", ")+"}", "stop-deps", "a: b")),
		`metadata.annotations[koordinator.io/start-deps][a]: "a" would be stopped when it starts: it starts after "b=succeeded" (a → b), which also stops it (koordinator.io/stop-deps). Remove one of these dependencies [KO206]`)
}
