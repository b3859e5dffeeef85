package podwatch

import "testing"

func TestEndsCountIncarnations(t *testing.T) {
	const (
		between  = `"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":1,"containerID":"containerd://b"}},"containerID":"containerd://b","restartCount":1`
		creating = `"state":{"waiting":{}},"lastState":{"terminated":{"exitCode":1,"containerID":"containerd://b"}},"containerID":"containerd://c","restartCount":2`
		third    = `"state":{"running":{}},"lastState":{"terminated":{"exitCode":1,"containerID":"containerd://b"}},"containerID":"containerd://c","restartCount":2`
	)
	for name, tt := range map[string]struct {
		state string
		want  int
	}{
		"not there yet":                        {``, 0},
		"the first runs":                       {running, 0},
		"the first has ended":                  {exit3, 1},
		"the second runs":                      {runningB, 1},
		"the second has ended and backs off":   {between, 2},
		"the third is being created":           {creating, 2},
		"the third runs":                       {third, 2},
		"the kubelet has lost the second":      {lost + `,"restartCount":1`, 2},
		"backing off, and no ID of what ended": {crashLoop, 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts(nil).observe(decode(t, podText("Always", "containers", regular, tt.state, "", "")))
			if have := f["c"].Ends; have != tt.want {
				t.Errorf("have %d, want %d", have, tt.want)
			}
		})
	}
}
