package chart

import (
	"strings"
	"testing"

	"koordinator.io/koordinator/webhook/sidecars"
)

// TestTheWebhookReadsTheSidecarsOfTheChart renders every kind of entry and parses the
// argument as the webhook does.
func TestTheWebhookReadsTheSidecarsOfTheChart(t *testing.T) {
	_, c := container(t, render(t, "--set-json", `sidecars={"mesh": {"ready": "http://127.0.0.1:1/ready", "stop": "POST http://127.0.0.1:1/quit"}, "agent": {"injected": false}, "envoy": {"enabled": false}, "daprd": null}`))
	for _, arg := range c.Args {
		text, found := strings.CutPrefix(arg, "--sidecars=")
		if !found {
			continue
		}
		table, err := sidecars.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if s := table["mesh"]; !s.Injected || s.Ready != "http://127.0.0.1:1/ready" || s.Stop.String() != "POST http://127.0.0.1:1/quit" {
			t.Errorf("mesh: %+v", s)
		}
		if table["agent"].Injected {
			t.Error("agent is added by another webhook")
		}
		for _, name := range []string{"envoy", "daprd"} {
			if _, there := table[name]; there {
				t.Errorf("%s is not removed: %s", name, text)
			}
		}
		return
	}
	t.Errorf("no --sidecars in %v", c.Args)
}
