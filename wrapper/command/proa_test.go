package command

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestProaFindsItsPodByTheHostsName(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	if have := hostPod(variables(nil))(spec.EnvPodName); have != host {
		t.Errorf("the pod is %q, want %q", have, host)
	}
	set := hostPod(variables(map[string]string{spec.EnvPodName: "web-0", spec.EnvPodNamespace: "shop", "A": "b"}))
	for name, want := range map[string]string{spec.EnvPodName: "web-0", spec.EnvPodNamespace: "shop", "A": "b", "B": ""} {
		if have := set(name); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
}

func TestTheOthersAreTheRegularContainers(t *testing.T) {
	for name, tt := range map[string]struct {
		pod  podstatus.Snapshot
		want []string
	}{
		"an empty pod":            {podstatus.Snapshot{}, nil},
		"sorted by name":          {podstatus.Snapshot{"b": {}, "a": {Runs: true}, "c": {Exited: true}}, []string{"a", "b", "c"}},
		"init containers are not": {podstatus.Snapshot{"b": {Init: true}, "a": {}, "sidecar": {Init: true, Runs: true}}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if have := others(tt.pod); !slices.Equal(have, tt.want) {
				t.Errorf("have %q, want %q", have, tt.want)
			}
		})
	}
}

func TestSignalsThatEndProasWaiting(t *testing.T) {
	for n := syscall.Signal(1); n <= 64; n++ {
		want := n == syscall.SIGTERM || n == syscall.SIGINT || n == syscall.SIGQUIT
		if have := isStop(n); have != want {
			t.Errorf("%s ends it: %t, want %t", spec.SignalName(n), have, want)
		}
	}
}
