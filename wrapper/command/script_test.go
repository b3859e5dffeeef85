package command

import (
	"cmp"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"koordinator.io/koordinator/wrapper/network"
	"koordinator.io/koordinator/wrapper/podstatus"
)

// TestMain makes the test binary act as koordinator, with the API server from
// its environment, and as the commands that the scripts run.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"koordinator": main, "koordinator-net": main, "proa": main, "copy": main, "sd-notify": sdNotify})
}

// sdNotify sends messages to NOTIFY_SOCKET. Each argument is FILE:MESSAGE, and
// the message is sent when the file exists.
func sdNotify() {
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, arg := range os.Args[1:] {
		file, message, _ := strings.Cut(arg, ":")
		for _, err := os.Stat(file); err != nil; _, err = os.Stat(file) {
			time.Sleep(5 * time.Millisecond)
		}
		if _, err := conn.Write([]byte(message)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// main is Main of the program with the network linked in, except that the paths
// that are fixed in a container come from its environment.
func main() {
	c := fromProcess()
	c.linked = network.Perform
	c.recordDir, c.peersDir = os.Getenv("RECORD_DIR"), os.Getenv("PEERS_DIR")
	c.message = os.Getenv("MESSAGE")
	if dir := os.Getenv("API_DIR"); dir != "" {
		c.api = func(func(string) string) (podstatus.Config, error) {
			server, err := os.ReadFile(filepath.Join(dir, "server"))
			return podstatus.Config{
				Server: string(server), TokenFile: filepath.Join(dir, "token"), CAFile: filepath.Join(dir, "ca.crt"),
				Namespace: "shop", Pod: "web-0",
			}, err
		}
	}
	os.Exit(c.main())
}

// TestScripts runs one story per file against the real program.
//
// Commands in addition to testscript's own:
//
//	pod NAME=STATE…     set the pod: waiting, running, ready, exited:CODE, refused:CODE:REASON
//	policy POLICY       set the pod's restart policy (Never at first)
//	server down|up      cut or restore the API server
//	await FILE TEXT     wait until FILE contains TEXT
//	quiet FILE          check that FILE does not appear for 300 ms
//	exits CODE PROGRAM  check that PROGRAM exits with CODE
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			api, err := newAPI(filepath.Join(env.WorkDir, "api"))
			if err != nil {
				return err
			}
			env.Defer(api.server.Close)
			env.Values["api"] = api
			env.Setenv("API_DIR", api.dir)
			env.Setenv("RECORD_DIR", filepath.Join(env.WorkDir, "record"))
			env.Setenv("PEERS_DIR", filepath.Join(env.WorkDir, "peers"))
			env.Setenv("MESSAGE", filepath.Join(env.WorkDir, "message"))
			env.Setenv("GOARCH", runtime.GOARCH)
			web := httptest.NewServer(http.NotFoundHandler())
			env.Defer(web.Close)
			env.Setenv("WEB", web.URL)
			return errors.Join(os.Mkdir(filepath.Join(env.WorkDir, "record"), 0o777), os.Mkdir(filepath.Join(env.WorkDir, "peers"), 0o777))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"pod":    func(ts *testscript.TestScript, _ bool, args []string) { ts.Value("api").(*api).set(args) },
			"policy": func(ts *testscript.TestScript, _ bool, args []string) { ts.Value("api").(*api).policy = args[0] },
			"server": func(ts *testscript.TestScript, _ bool, args []string) { ts.Value("api").(*api).cut(args[0] == "down") },
			"await":  await,
			"quiet":  quiet,
			"exits":  exits,
		},
	})
}

func await(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(data), args[1]) {
			return
		}
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Fatalf("%s never held %q: %q, %v", args[0], args[1], data, err)
}

func quiet(ts *testscript.TestScript, _ bool, args []string) {
	time.Sleep(300 * time.Millisecond) // proves absence
	if data, err := os.ReadFile(ts.MkAbs(args[0])); err == nil {
		ts.Fatalf("%s is there: %q", args[0], data)
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	have := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		have = exit.ExitCode()
	}
	if want := args[0]; strconv.Itoa(have) != want {
		ts.Fatalf("exit code %d, want %s", have, want)
	}
}

// api is an API server with a single pod.
type api struct {
	dir    string // where clients find server, token and ca.crt
	server *httptest.Server

	mu      sync.Mutex
	policy  string
	states  map[string]string
	version int
	down    bool
	changed chan struct{} // closed at every change
}

func newAPI(dir string) (*api, error) {
	a := &api{dir: dir, policy: "Never", states: map[string]string{}, version: 1, changed: make(chan struct{})}
	a.server = httptest.NewTLSServer(a)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw})
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{"server": []byte(a.server.URL), "token": []byte("secret"), "ca.crt": ca} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// set changes the named containers and notifies every watch.
func (a *api) set(states []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range states {
		name, state, _ := strings.Cut(s, "=")
		a.states[name] = state
	}
	a.version++
	a.wake()
}

func (a *api) cut(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
	a.wake()
}

func (a *api) wake() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// now returns the pod as JSON, its version, and a channel that is closed at the
// next change.
func (a *api) now() (pod map[string]any, version int, changed <-chan struct{}, down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var containers, statuses []any
	for name, state := range a.states {
		containers = append(containers, map[string]any{"name": name})
		statuses = append(statuses, status(name, state))
	}
	pod = map[string]any{
		"metadata": map[string]any{"name": "web-0", "uid": "1", "resourceVersion": strconv.Itoa(a.version)},
		"spec":     map[string]any{"restartPolicy": a.policy, "containers": containers},
		"status":   map[string]any{"phase": "Running", "containerStatuses": statuses},
	}
	return pod, a.version, a.changed, a.down
}

// status returns a container's status for one of the states in scripts.
func status(name, state string) map[string]any {
	word, rest, _ := strings.Cut(state, ":")
	code, reason, _ := strings.Cut(rest, ":")
	number, _ := strconv.Atoi(cmp.Or(code, "0"))
	s := map[string]any{"name": name, "containerID": "c1", "started": false, "ready": word == "ready"}
	switch word {
	case "running", "ready":
		s["started"] = true
		s["state"] = map[string]any{"running": map[string]any{}}
	case "exited":
		s["state"] = map[string]any{"terminated": map[string]any{"exitCode": number, "reason": "Completed"}}
	case "refused":
		message := "koordinator: command not started: " + reason
		s["state"] = map[string]any{"terminated": map[string]any{"exitCode": number, "reason": "Error", "message": message}}
	}
	return s
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pod, version, changed, down := a.now()
	switch {
	case down:
		panic(http.ErrAbortHandler)
	case r.Header.Get("Authorization") != "Bearer secret":
		http.Error(w, `{"kind":"Status","code":401,"reason":"Unauthorized"}`, http.StatusUnauthorized)
		return
	case r.URL.Path != "/api/v1/namespaces/shop/pods" || r.URL.Query().Get("fieldSelector") != "metadata.name=web-0":
		http.Error(w, `{"kind":"Status","code":403,"reason":"Forbidden","message":"`+r.URL.String()+`"}`, http.StatusForbidden)
		return
	case r.URL.Query().Get("watch") == "":
		fmt.Fprintf(w, `{"kind":"PodList","metadata":{"resourceVersion":"%d"},"items":[%s]}`, version, encode(pod))
		return
	}
	seen, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	for {
		if version > seen {
			seen = version
			fmt.Fprintf(w, `{"type":"MODIFIED","object":%s}`+"\n", encode(pod))
			w.(http.Flusher).Flush()
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
		if pod, version, changed, down = a.now(); down {
			panic(http.ErrAbortHandler)
		}
	}
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
