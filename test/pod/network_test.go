package pod

import (
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// apiServer has one pod, web-0. Its container proxy runs, and is ready after becomeReady.
type apiServer struct {
	*httptest.Server

	access string // directory with its token and CA, as the kubelet mounts it
	ready  atomic.Bool
	seen   chan struct{} // closed when proxy is ready
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	a := &apiServer{access: t.TempDir(), seen: make(chan struct{})}
	a.Server = httptest.NewUnstartedServer(a)
	a.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	a.StartTLS()
	t.Cleanup(a.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	for name, data := range map[string][]byte{"token": []byte("secret"), "ca.crt": ca} {
		if err := os.WriteFile(filepath.Join(a.access, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(a.access, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.CloseClientConnections) // before Close, which waits for watches
	return a
}

// becomeReady makes proxy ready.
func (a *apiServer) becomeReady() {
	a.ready.Store(true)
	close(a.seen)
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pod := func() string {
		return fmt.Sprintf(`{"metadata":{"name":"web-0","uid":"1","resourceVersion":"1"},"spec":{"containers":[{"name":"proxy"}]},
			"status":{"containerStatuses":[{"name":"proxy","containerID":"c","started":true,"ready":%t,"state":{"running":{}}}]}}`, a.ready.Load())
	}
	if r.URL.Query().Get("watch") == "" {
		fmt.Fprintf(w, `{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[%s]}`, pod())
		return
	}
	_ = http.NewResponseController(w).Flush()
	select {
	case <-a.seen:
		fmt.Fprintf(w, `{"type":"MODIFIED","object":%s}`, pod())
	case <-r.Context().Done():
		return
	}
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// waiting returns a container that waits until proxy is ready. Only the pod's status shows this.
func (a *apiServer) waiting(command string, options ...func(*spec.Spec)) Container {
	s := spec.Default()
	s.Container, s.Source = "app", spec.SourcePod
	s.StartDeps = []spec.Dependency{{Container: "proxy", Condition: spec.Ready}}
	for _, option := range options {
		option(&s)
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(a.URL, "https://"), ":")
	return Container{
		Name: "app", Command: sh(command), Spec: s.Encode(), Access: a.access,
		Env: []string{
			"KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port,
			spec.EnvPodName + "=web-0", spec.EnvPodNamespace + "=shop",
		},
	}
}

// children returns the processes whose parent is a container's first process, by their PID
// on the host, including zombies.
func children(t *testing.T, r *Running) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), fmt.Sprintf("\nPPid:\t%d\n", r.PID)) {
			continue // the process has ended, or has another parent
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pid)
	}
	return all
}

// watcher waits until a container has its network program, and returns the program's PID.
func watcher(t *testing.T, r *Running) (pid int) {
	t.Helper()
	eventually(t, func() bool {
		for _, child := range children(t, r) {
			if strings.HasSuffix(executable(child), "/"+spec.NetworkName) {
				pid = child
				return true
			}
		}
		return false
	}, func() string {
		return fmt.Sprintf("no network program among %v; stderr %s", children(t, r), r.Stderr())
	})
	return pid
}

// gone waits until a process has ended and was reaped.
func gone(t *testing.T, pid int) {
	t.Helper()
	eventually(t, func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH }, func() string { return fmt.Sprintf("process %d is still there", pid) })
}

// logs waits until a container's log contains a text.
func logs(t *testing.T, r *Running, text string) {
	t.Helper()
	eventually(t, func() bool { return strings.Contains(r.Stderr(), text) }, r.Stderr)
}

// eachNamespace runs a test with a PID namespace for each container, and with one for the whole pod.
func eachNamespace(t *testing.T, test func(t *testing.T, p *Pod)) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared=%t", shared), func(t *testing.T) {
			p := newPod(t)
			if shared {
				if err := p.Share(); err != nil {
					t.Fatal(err)
				}
			}
			test(t, p)
		})
	}
}

func TestTheNetworkProgramRunsWhileItIsNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		user     int
		dropCaps bool
	}{"root": {}, "another user": {12345, true}} {
		t.Run(name, func(t *testing.T) {
			eachNamespace(t, func(t *testing.T, p *Pod) {
				api := newAPIServer(t)
				app := api.waiting("trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done")
				app.UID, app.DropCaps = c.user, c.dropCaps
				r := start(t, p, app)
				pid := watcher(t, r)
				if group, err := syscall.Getpgid(pid); err != nil || group != pid {
					t.Errorf("its process group is %d, want %d of its own: %v", group, pid, err)
				}
				api.becomeReady()
				says(t, r, "up")
				gone(t, pid)
				if err := r.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				exits(t, r, 5)
			})
		})
	}
}

func TestTheNetworkProgramDiesWithTheWrapper(t *testing.T) {
	eachNamespace(t, func(t *testing.T, p *Pod) {
		api := newAPIServer(t)
		r := start(t, p, api.waiting("echo up"))
		pid := watcher(t, r)
		r.Kill()
		exits(t, r, 137)
		gone(t, pid)
		if peer, err := record.Read(filepath.Join(p.Records(), "app")); err != nil || !peer.Gone() {
			t.Errorf("the record is kept alive: %+v, %v", peer, err)
		}
	})
}

func TestTheNetworkProgramEndsWithAStopRequest(t *testing.T) {
	eachNamespace(t, func(t *testing.T, p *Pod) {
		api := newAPIServer(t)
		r := start(t, p, api.waiting("echo up"))
		pid := watcher(t, r)
		if err := r.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		exits(t, r, spec.ExitStopped)
		gone(t, pid)
	})
}

// TestTheNetworkProgramIsGoneInExecMode uses a command that lists its children. The list
// must contain only the program that creates it, and no other process, not even one that
// has ended.
func TestTheNetworkProgramIsGoneInExecMode(t *testing.T) {
	eachNamespace(t, func(t *testing.T, p *Pod) {
		api := newAPIServer(t)
		r := start(t, p, api.waiting(`(grep -l "^PPid:[[:space:]]*$$\$" /proc/[0-9]*/status); :`, func(s *spec.Spec) { s.Mode = spec.ExecMode }))
		watcher(t, r)
		api.becomeReady()
		exits(t, r, 0)
		if strings.Count(r.Stdout(), "\n") != 1 {
			t.Errorf("stdout %q; stderr %s", r.Stdout(), r.Stderr())
		}
	})
}

func TestANetworkProgramThatIsKilledIsStartedAgain(t *testing.T) {
	api := newAPIServer(t)
	r := start(t, newPod(t), api.waiting("echo up"))
	first := watcher(t, r)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	logs(t, r, "pod watch not running")
	gone(t, first)
	api.becomeReady()
	exits(t, r, 0)
	if r.Stdout() != "up\n" {
		t.Errorf("stdout %q; stderr %s", r.Stdout(), r.Stderr())
	}
}

// TestTheNetworkProgramAtTheProcessLimit uses a container that may not start further
// processes while it waits.
func TestTheNetworkProgramAtTheProcessLimit(t *testing.T) {
	api := newAPIServer(t)
	app := api.waiting("echo up")
	app.Processes = 64
	r := start(t, newPod(t), app)
	limit := filepath.Join(r.cgroup, "pids.max")
	pid := watcher(t, r)
	if err := os.WriteFile(limit, []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	logs(t, r, "pod watch not running")
	api.becomeReady()
	if err := os.WriteFile(limit, []byte("max"), 0); err != nil {
		t.Fatal(err)
	}
	exits(t, r, 0)
	if n := strings.Count(r.Stderr(), "pod watch not running"); n != 1 {
		t.Errorf("said %d times: %s", n, r.Stderr())
	}
}

// TestTheNetworkProgramIsNoPartOfTheSweep uses a command that leaves a process in its
// group, and a stop dependency that keeps the watch running until the end.
func TestTheNetworkProgramIsNoPartOfTheSweep(t *testing.T) {
	api := newAPIServer(t)
	api.becomeReady()
	app := api.waiting("trap 'exit 6' TERM; sleep 1000 & echo up; while :; do sleep 0.01; done", func(s *spec.Spec) {
		s.StopDeps = []spec.Dependency{{Container: "proxy", Condition: spec.Exited}}
	})
	r := start(t, newPod(t), app)
	says(t, r, "up")
	pid := watcher(t, r)
	if err := r.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	exits(t, r, 6)
	gone(t, pid)
}

func TestTheWrapperWithoutTheNetworkProgram(t *testing.T) {
	p := newPod(t)
	if err := os.Remove(filepath.Join(p.dir, "bin", spec.NetworkName)); err != nil {
		t.Fatal(err)
	}
	api := newAPIServer(t)
	r := start(t, p, api.waiting("echo up"))
	logs(t, r, "/koordinator/bin/koordinator-net): no such file")
	if err := r.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	exits(t, r, spec.ExitStopped)
}
