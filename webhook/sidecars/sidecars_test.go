package sidecars_test

import (
	"strings"
	"testing"

	"koordinator.io/koordinator/webhook/sidecars"
	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestEveryBuiltinEntryIsUsable(t *testing.T) {
	for name, s := range sidecars.Builtin() {
		if !spec.IsName(name) {
			t.Errorf("%s is not the name of a container", name)
		}
		if s.Ready != "" {
			if err := spec.CheckEndpoint(s.Ready); err != nil || !probe.IsLocal(s.Ready) {
				t.Errorf("%s: ready %s: %v: want an endpoint in the pod", name, s.Ready, err)
			}
		}
		if s.Stop != nil {
			if r, err := spec.ParseRequest(s.Stop.String()); err != nil || r != *s.Stop {
				t.Errorf("%s: stop %s: %v", name, s.Stop, err)
			}
		}
		if s.Stop == nil && s.Instead == "" {
			t.Errorf("%s has no stop request, and no advice what to do instead", name)
		}
		if s.NeedsAnnotation != "" && !strings.Contains(s.NeedsAnnotation, "=") {
			t.Errorf("%s: annotation %q has no value", name, s.NeedsAnnotation)
		}
	}
}

func TestAnOperatorExtendsReplacesAndRemovesEntries(t *testing.T) {
	table, err := sidecars.Parse(`{
		"mesh": {"ready": "tcp://127.0.0.1:1234", "stop": "GET http://127.0.0.1:1234/exit"},
		"istio-proxy": {"ready": "http://127.0.0.1:1/ready"},
		"helper": {"injected": false, "stop": "POST http://127.0.0.1:2/quit"},
		"daprd": null, "envoy": {"enabled": false}}`)
	if err != nil {
		t.Fatal(err)
	}
	if s := table["mesh"]; s.Ready != "tcp://127.0.0.1:1234" || s.Stop.String() != "GET http://127.0.0.1:1234/exit" || !s.Injected {
		t.Errorf("mesh: %+v", s)
	}
	if s := table["istio-proxy"]; s.Ready != "http://127.0.0.1:1/ready" || s.Stop != nil {
		t.Errorf("an entry replaces the built-in one as a whole: %+v", s)
	}
	if table["helper"].Injected {
		t.Error("helper is added by another webhook")
	}
	for _, name := range []string{"daprd", "envoy"} {
		if _, there := table[name]; there {
			t.Errorf("%s is not removed", name)
		}
	}
	if _, there := table["linkerd-proxy"]; !there {
		t.Error("the other built-in entries are gone")
	}
}

func TestEverythingWrongWithTheTableIsNamed(t *testing.T) {
	_, err := sidecars.Parse(`{"Mesh":{},"a":{"ready":"redis://x"},"b":{"stop":"http://x"}}`)
	for _, want := range []string{`"Mesh": it is not the name of a container`, `"a": ready: endpoint "redis://x"`, `"b": stop: `} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("have %v, want %q", err, want)
		}
	}
	for _, text := range []string{`[]`, `{"a":{"readiness":"x"}}`, `{"a":1}`} {
		if _, err := sidecars.Parse(text); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

func TestLateContainersKeepWhatIsKnownOfThem(t *testing.T) {
	table := sidecars.Builtin().WithLate([]string{"envoy", "other"})
	if !table["envoy"].Injected || table["envoy"].Stop == nil || !table["other"].Injected {
		t.Errorf("envoy %+v, other %+v", table["envoy"], table["other"])
	}
	if sidecars.Builtin()["envoy"].Injected {
		t.Error("the built-in table has changed")
	}
}
