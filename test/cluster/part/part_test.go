package part

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"koordinator.io/koordinator/test/cluster/layout"
)

func TestPartsAreListedAfterWhatTheyNeed(t *testing.T) {
	var seen []string
	for _, p := range All(Config{Nodes: make([]Release, 2)}) {
		for _, needed := range p.After {
			if !slices.Contains(seen, needed) {
				t.Errorf("%s is listed before %s", p.Name, needed)
			}
		}
		if p.Health == "" || p.Grace == 0 || len(p.Args) == 0 {
			t.Errorf("%s lacks something: %+v", p.Name, p)
		}
		seen = append(seen, p.Name)
	}
}

func TestEveryPartIsStoppedOnce(t *testing.T) {
	stopped := slices.Concat(slices.Concat(StopOrder(1), StopOrder(2))...)
	started := Names(2)
	slices.Sort(stopped)
	slices.Sort(started)
	if !slices.Equal(stopped, started) {
		t.Errorf("stopped %q, started %q", stopped, started)
	}
}

func TestFeaturesAreSwitchedOnWhereTheyAreNot(t *testing.T) {
	for version, want := range map[string]string{
		"1.32.1": "ImageVolume=true", "1.34.4": "ImageVolume=true,ContainerStopSignals=true", "1.37.2": "ContainerStopSignals=true",
	} {
		for node, releases := range [][]Release{{{Kubernetes: version}, {Kubernetes: "1.30.0"}}, {{Kubernetes: "1.30.0"}, {Kubernetes: version}}} {
			for _, p := range All(Config{Nodes: releases}) {
				got := slices.Contains(p.Args, "--feature-gates="+want)
				if concerned := p.Name == On(node+1, Kubelet) || p.Name == APIServer && node == 0; got != concerned {
					t.Errorf("%s, %v: %q", p.Name, releases, p.Args)
				}
			}
		}
	}
}

func TestConfigurationFilesAreComplete(t *testing.T) {
	dir := t.TempDir()
	c := Config{Layout: layout.Layout{Name: "test", Data: dir, Run: dir}, Nodes: make([]Release, 2)}
	placeholder := regexp.MustCompile(`<[A-Z]+>`)
	for _, number := range []int{1, 2} {
		node := c.Layout.Node(number)
		if err := c.WriteFiles(node); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{
			filepath.Join(node.Config(), "containerd.toml"), filepath.Join(node.Config(), "kubelet.yaml"),
			filepath.Join(node.Config(), "cni/bridge.conflist"), filepath.Join(c.Layout.Config(), "audit.yaml"),
		} {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if left := placeholder.FindAll(content, -1); len(left) > 0 {
				t.Errorf("%s: %q is left", path, left)
			}
		}
		kubelet, err := os.ReadFile(filepath.Join(node.Config(), "kubelet.yaml"))
		if want := `cgroupRoot: "/koordinator-cluster-test/` + node.Name + `"`; err != nil || !strings.Contains(string(kubelet), want) {
			t.Errorf("want %s, error %v:\n%s", want, err, kubelet)
		}
	}
}

func TestWorking(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	socket := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, health string
		status       int
		want         bool
	}{
		{name: "it says so", health: server.URL + "/readyz", status: http.StatusOK, want: true},
		{name: "it says no", health: server.URL + "/readyz", status: http.StatusInternalServerError},
		{name: "a port that accepts", health: strings.Replace(server.URL, "https", "tcp", 1), want: true},
		{name: "a port that does not", health: "tcp://127.0.0.1:1"},
		{name: "a socket that accepts", health: "unix://" + socket, want: true},
		{name: "a socket that is missing", health: "unix://" + socket + "x"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status = test.status
			if got := (Part{Health: test.health, Outside: true}).Working(t.Context(), nil); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
	server.Close()
	_ = listener.Close()
	if (Part{Health: server.URL, Outside: true}).Working(t.Context(), nil) {
		t.Error("a server that is gone works")
	}
}
