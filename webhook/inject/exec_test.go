package inject_test

import (
	"strings"
	"testing"

	"koordinator.io/koordinator/test/sketch"
)

// The exit of a command in exec mode is detected through its record's lock, but
// its exit code is not. It therefore matters whether the code decides if an exit
// is permanent.
func TestB5ExitsOfCommandsInExecMode(t *testing.T) {
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		refused     bool
	}{
		{name: "exited, where only code 0 is for good", pod: "OnFailure a c", annotations: sketch.Annotations("start-deps", "c: a=exited"), refused: true},
		{name: "the same as a stop dependency", pod: "OnFailure a c", annotations: sketch.Annotations("stop-deps", "c: a"), refused: true},
		{name: "exited, where rules look at the code", pod: "Never a/Never+3 c", annotations: sketch.Annotations("start-deps", "c: a=exited"), refused: true},
		{name: "exited, where every exit is for good", pod: "Never a c", annotations: sketch.Annotations("start-deps", "c: a=exited")},
		{name: "the same from records alone", pod: "Never a c", annotations: sketch.Annotations("start-deps", "c: a=exited", "source", "c: local")},
		{name: "stops of what is restarted for ever", pod: "Always a c", annotations: sketch.Annotations("stop-deps", "c: a")},
		{name: "success", pod: "Never a c", annotations: sketch.Annotations("start-deps", "c: a=succeeded"), refused: true},
		{name: "failure", pod: "Never a c", annotations: sketch.Annotations("stop-deps", "c: a=failed"), refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.annotations["koordinator.io/mode"] = "a: exec"
			problems := plan(sketch.Pod(tt.pod, tt.annotations)).Problems
			refused := len(problems) == 1 && problems[0].Path.String() == "metadata.annotations[koordinator.io/mode][a]" && strings.Contains(problems[0].Sentence, `"c" depends on its exit`)
			if refused != tt.refused || !tt.refused && len(problems) > 0 {
				t.Errorf("%v, want it refused: %v", problems, tt.refused)
			}
		})
	}
}
