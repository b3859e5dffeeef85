package network

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/spec"
)

// quiet returns loggers that discard their output.
func quiet(string, string) *slog.Logger { return slog.New(slog.DiscardHandler) }

// perform performs a task with the input v.
func perform(t *testing.T, task string, v any) (code int, out, stderr string) {
	t.Helper()
	input, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, complaint bytes.Buffer
	code = Perform(task, bytes.NewReader(input), &stdout, &complaint, quiet)
	return code, stdout.String(), complaint.String()
}

func TestARequest(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/moved":
			http.Redirect(w, r, "/busy", http.StatusFound)
		}
	})
	secure, plain := httptest.NewUnstartedServer(answer), httptest.NewServer(answer)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	secure.StartTLS()
	defer secure.Close()
	defer plain.Close()
	for name, tt := range map[string]struct{ url, want string }{
		"a success":                 {secure.URL, `{"status":200}`},
		"a failure has its status":  {secure.URL + "/busy", `{"status":503}`},
		"a redirect is followed":    {secure.URL + "/moved", `{"status":503}`},
		"a server of plain HTTP":    {"https" + strings.TrimPrefix(plain.URL, "http"), `"plain":true`},
		"nobody listens":            {"https://127.0.0.1:1", "connection refused"},
		"an address that is no URL": {"https://[::1", "missing ']'"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, stderr := perform(t, spec.RequestTask, probe.Request{Method: "GET", URL: tt.url, First: "127.0.0.1"})
			if code != 0 || stderr != "" || !strings.Contains(out, tt.want) || strings.Count(out, "\n") != 1 {
				t.Errorf("code %d, printed %q and %q, want %q", code, out, stderr, tt.want)
			}
		})
	}
}

func TestWhatIsNoTask(t *testing.T) {
	for name, tt := range map[string]struct {
		task  string
		input any
		want  string
	}{
		"another task":             {"other", nil, `unknown task "other"`},
		"a request that is none":   {spec.RequestTask, "no", "read request"},
		"a watch without a config": {spec.WatchTask, "no", "read config"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, stderr := perform(t, tt.task, tt.input)
			if code == 0 || out != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("code %d, printed %q and %q, want %q", code, out, stderr, tt.want)
			}
		})
	}
}

var errNobody = errors.New("nobody reads")

// reader accepts a number of lines, and then fails.
type reader struct {
	lines []string
	most  int
}

func (r *reader) Write(line []byte) (int, error) {
	if len(r.lines) == r.most {
		return 0, errNobody
	}
	r.lines = append(r.lines, string(line))
	return len(line), nil
}

// TestAWatch watches a pod that changes continuously.
func TestAWatch(t *testing.T) {
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const pod = `{"metadata":{"name":"web-0","uid":"1","resourceVersion":"%d"},"spec":{"containers":[{"name":"a"}]},"status":{"containerStatuses":[{"name":"a","containerID":"%d","ready":%t,"started":true,"state":{"running":{}}}]}}`
		if r.URL.Query().Get("watch") == "" {
			fmt.Fprintf(w, `{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[`+pod+`]}`, 1, 1, false)
			return
		}
		for i := 2; r.Context().Err() == nil; i++ {
			fmt.Fprintf(w, `{"type":"MODIFIED","object":`+pod+`}`, i, i, i%2 == 0)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	defer api.Close()
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
	for name, data := range map[string][]byte{"token": []byte("x"), "ca.crt": ca} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, err := json.Marshal(podstatus.Config{
		Server: api.URL, TokenFile: filepath.Join(dir, "token"), CAFile: filepath.Join(dir, "ca.crt"),
		Namespace: "shop", Pod: "web-0", Container: "main", LogLevel: "debug",
	})
	if err != nil {
		t.Fatal(err)
	}
	out := &reader{most: 3}
	log := func(container, level string) *slog.Logger {
		if container != "main" || level != "debug" {
			t.Errorf("a log of container %q at level %q", container, level)
		}
		return quiet("", "")
	}
	if code := Perform(spec.WatchTask, bytes.NewReader(config), out, io.Discard, log); code == 0 {
		t.Error("a watch that nobody reads ends with code 0")
	}
	if len(out.lines) != out.most {
		t.Fatalf("printed %q", out.lines)
	}
	for _, line := range out.lines {
		var s podstatus.Snapshot
		if err := json.Unmarshal([]byte(line), &s); err != nil || !s["a"].Started || !s["a"].Runs {
			t.Errorf("printed %q: %v", line, err)
		}
	}
}
