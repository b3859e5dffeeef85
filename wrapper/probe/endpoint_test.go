package probe_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/spec"
)

// ask checks an endpoint once and returns the reason, or "" if it answered.
func ask(t *testing.T, address string) string {
	t.Helper()
	if err := spec.CheckEndpoint(address); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := probe.Ask(ctx, address, probe.Runner{}); err != nil {
		return err.Error()
	}
	return ""
}

func TestATCPEndpointAnswersByAccepting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "tcp://" + l.Addr().String()
	if have := ask(t, address); have != "" {
		t.Errorf("while it listens: %s", have)
	}
	l.Close()
	if have := ask(t, address); have != "connection refused" {
		t.Errorf("have %q, want the reason alone", have)
	}
}

func TestAnHTTPEndpointAnswersBelow400(t *testing.T) {
	mux := http.NewServeMux()
	for path, status := range map[string]int{"/ok": 200, "/other": 302, "/busy": 503, "/gone": 404} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			if status == 302 {
				w.Header().Set("Location", "http://example.invalid/")
			}
			w.WriteHeader(status)
		})
	}
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/busy", http.StatusFound) })
	mux.HandleFunc("/query", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("full") != "1" {
			w.WriteHeader(400)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, want := range map[string]string{
		"/ok": "", "/other": "", "/busy": "503 Service Unavailable", "/gone": "404 Not Found", "/here": "503 Service Unavailable", "/query?full=1": "",
	} {
		if have := ask(t, server.URL+path); have != want {
			t.Errorf("%s: have %q, want %q", path, have, want)
		}
	}
}

func TestAServerThatIsSilentIsNoAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for _, scheme := range []string{"http://", "grpc://"} {
		if err := probe.Ask(ctx, scheme+l.Addr().String(), probe.Runner{}); err == nil || err.Error() != "no answer" {
			t.Errorf("%s: have %v", scheme, err)
		}
	}
}

func TestAFileEndpointNamesItsReason(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("full", "x")
	write("empty", "")
	write("with space", "x")
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("full", "link")
	link("nowhere", "broken")
	for name, want := range map[string]string{
		"full": "", "link": "", "with%20space": "", "empty": "is empty", "broken": "a symbolic link to nothing", "missing": "no such file or directory",
		"full/below": "not a directory",
	} {
		if have := ask(t, "file://"+dir+"/"+name); have != want {
			t.Errorf("%s: have %q, want %q", name, have, want)
		}
	}
	if have := ask(t, "file://"+dir); have != "is a directory" {
		t.Errorf("a directory: have %q", have)
	}
	if have := ask(t, "file:///dev/null"); have != "is not a regular file" {
		t.Errorf("a device: have %q", have)
	}
}

func TestADNSEndpointAnswersByResolving(t *testing.T) {
	if have := ask(t, "dns://localhost"); have != "" {
		t.Errorf("localhost: %s", have)
	}
	if have := ask(t, "dns://does-not-exist.invalid"); have == "" || strings.Contains(have, ":") {
		t.Errorf("have %q, want a reason without addresses", have)
	}
}

func TestAnHTTPSEndpointIsHandedToTheNetworkProgram(t *testing.T) {
	var task string
	run := probe.Runner{Network: func(_ context.Context, name string, _ []byte, line func([]byte) error) error {
		task = name
		return line([]byte(`{"error":"dial tcp 127.0.0.1:443: connect: connection refused"}`))
	}}
	err := probe.Ask(t.Context(), "https://127.0.0.1/", run)
	if task != spec.RequestTask || err == nil || err.Error() != "connection refused" {
		t.Errorf("task %q, error %v", task, err)
	}
}

func TestWhatIsInThePodIsAskedSooner(t *testing.T) {
	for address, want := range map[string]bool{
		"tcp://127.0.0.1:80": true, "http://localhost/": true, "grpc://[::1]:80": true, "tcp://127.8.8.8:1": true, "file:///run/x": true,
		"tcp://db:5432": false, "tcp://10.0.0.1:80": false, "dns://localhost": false,
	} {
		if have := probe.IsLocal(address); have != want {
			t.Errorf("%s: have %t", address, have)
		}
	}
}

func TestAnEndpointIsAskedUntilItAnswersAndNotAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, tries, failures := time.Now(), []time.Duration(nil), 0
		pace := probe.Pace{Random: func() float64 { return 0.5 }}
		err := pace.Answered(t.Context(), func(context.Context) error {
			if tries = append(tries, time.Since(began)); len(tries) < 4 {
				return errors.New("connection refused")
			}
			return nil
		}, func(error) { failures++ })
		want := []time.Duration{125 * time.Millisecond, 281250 * time.Microsecond, 632812500, 1423828125}
		if err != nil || failures != 3 || !slices.Equal(tries, want) {
			t.Errorf("error %v, %d failures, tries at %v", err, failures, tries)
		}
		time.Sleep(time.Hour)
		if len(tries) != 4 {
			t.Errorf("asked again: %v", tries)
		}
	})
}

func TestASilentEndpointDelaysOnlyItsOwnTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := probe.Pace{Random: rand.Float64}.Answered(ctx, func(ctx context.Context) error {
			tries++
			<-ctx.Done()
			return ctx.Err()
		}, func(error) {})
		if !errors.Is(err, context.DeadlineExceeded) || tries < 5 {
			t.Errorf("error %v after %d tries of a minute", err, tries)
		}
	})
}

// TestAThousandWaitersDoNotStormOneServer simulates containers that begin to
// wait at the same instant, or within one second, for a server that refuses
// connections.
func TestAThousandWaitersDoNotStormOneServer(t *testing.T) {
	const waiters, steady = 1000, 8 // steady is the number of seconds until the pauses have their maximum
	for name, spread := range map[string]time.Duration{"in one instant": 0, "in one second": time.Second} {
		random := rand.New(rand.NewPCG(1, 2))
		perSecond := make([]int, 120)
		perTenth := make([]int, 10*len(perSecond))
		for range waiters {
			pace := probe.Pace{Random: random.Float64}
			began := time.Duration(random.Float64() * float64(spread))
			for at := began; ; {
				at += pace.Pause(at-began, 0)
				if int(at/time.Second) >= len(perSecond) {
					break
				}
				perSecond[at/time.Second]++
				perTenth[at/(time.Second/10)]++
			}
		}
		if most := slices.Max(perSecond[steady:]); most > 200 {
			t.Errorf("%s: up to %d requests a second: %v", name, most, perSecond)
		}
		if most := slices.Max(perTenth[10*steady:]); most > 40 {
			t.Errorf("%s: up to %d requests in a tenth of a second", name, most)
		}
		if total := perSecond[0] + perSecond[1]; total > 5*waiters {
			t.Errorf("%s: %d requests in the first two seconds", name, total)
		}
		t.Logf("%s: seconds 0 to 12: %v, then up to %d", name, perSecond[:13], slices.Max(perSecond[steady:]))
	}
}
