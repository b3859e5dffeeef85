package wrapper

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/record"
)

// said returns the content of a record in one line.
func said(t *testing.T, dir string) string {
	t.Helper()
	p, err := record.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	words := []string{p.Phase}
	if p.Started {
		words = append(words, "started")
	}
	if p.Ready {
		words = append(words, "ready")
	}
	if p.Trouble != "" {
		words = append(words, "trouble: "+p.Trouble)
	}
	return strings.Join(words, " ")
}

// place returns a directory for a container's record.
func place(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "main")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWhatTheRecordSaysThroughoutARun(t *testing.T) {
	dir := place(t)
	r := &rig{onSignal: map[syscall.Signal]int{}, leftovers: true, answers: map[string]error{"check": errors.New("connection refused")}}
	r.record = newRecord(t, dir)
	is := func(want string) {
		t.Helper()
		synctest.Wait()
		if have := said(t, dir); have != want {
			t.Errorf("the record says %q, want %q", have, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		r.run(t, `{"startDeps":["proxy"],"wrapped":["proxy"],"readyProbes":[{"tcpSocket":{"port":80}}],"stopDelay":"10s"}`, func() {
			time.Sleep(time.Second)
			is("waiting")
			r.peers <- record.Snapshot{"proxy": recReady}
			time.Sleep(time.Second)
			is("running started")
			time.Sleep(5 * time.Second)
			is("running started trouble: connection refused")
			r.mu.Lock()
			r.answers["check"] = nil
			r.mu.Unlock()
			time.Sleep(5 * time.Second)
			is("running started ready")
			r.signals <- syscall.SIGTERM
			time.Sleep(time.Second)
			is("delaying started ready")
			time.Sleep(10 * time.Second)
			is("stopping started ready")
			r.end(3)
			time.Sleep(time.Second)
			is("ending started")
			time.Sleep(10 * time.Second)
			is("exited started")
		})
	})
}

func TestA26TheStopSignalThatTheStatusReportsIsAStopRequest(t *testing.T) {
	const held = `"container":"main","holdFor":["app"],"gracePeriod":"30s","stopTimeout":"30s"`
	for name, tc := range map[string]struct {
		text, reported string
		want           time.Duration // when the command gets SIGUSR1
	}{
		"as it is reported":        {`{` + held + `}`, "SIGUSR1", 4 * time.Second},
		"none is reported":         {`{` + held + `}`, "", 2 * time.Second},
		"one that no system has":   {`{` + held + `}`, "SIGNONE", 2 * time.Second},
		"the spec has another one": {`{` + held + `,"requestSignal":"SIGTERM"}`, "SIGUSR1", 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rig{onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}, first: podstatus.Snapshot{
					"main": {StopSignal: tc.reported}, "app": {Started: true, Runs: true},
				}}
				r.run(t, tc.text, func() {
					time.Sleep(2 * time.Second)
					r.signals <- syscall.SIGUSR1
					time.Sleep(time.Minute)
					r.end(0)
				})
				if len(r.sent) == 0 || r.sent[0].signal != syscall.SIGUSR1 || r.sent[0].after != tc.want {
					t.Errorf("sent %v, want SIGUSR1 after %s", r.sent, tc.want)
				}
			})
		})
	}
}

func TestACommandThatIsNoLongerWantedDoesNotTakeTheWrappersPlace(t *testing.T) {
	dir := place(t)
	r := &rig{}
	r.record = newRecord(t, dir)
	synctest.Test(t, func(t *testing.T) {
		got := r.run(t, `{"mode":"exec","startDeps":["proxy"],"wrapped":["proxy"]}`, func() {
			time.Sleep(time.Second)
			r.signals <- syscall.SIGTERM
			r.peers <- record.Snapshot{"proxy": recReady}
		})
		if got.code != 143 || r.replaced {
			t.Errorf("have %+v, replaced %t, want code 143 and no command", got, r.replaced)
		}
	})
}

func TestWhatIsLoggedOfACommandThatTakesTheWrappersPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		text         string
		place, fails bool
	}{
		"without dependencies":             {text: `{"mode":"exec"}`},
		"after its dependencies":           {text: `{"mode":"exec","startDeps":["proxy"],"wrapped":["proxy"]}`, place: true},
		"a record that cannot be written":  {text: `{"mode":"exec"}`, fails: true},
		"the same, after its dependencies": {text: `{"mode":"exec","startDeps":["proxy"],"wrapped":["proxy"]}`, place: true, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := place(t)
			var log bytes.Buffer
			r := &rig{log: slog.New(slog.NewTextHandler(&log, nil)), startError: errors.New("no")}
			r.record = newRecord(t, dir)
			if tc.fails {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				r.run(t, tc.text, func() {
					if tc.place {
						r.peers <- record.Snapshot{"proxy": recReady}
					}
				})
			})
			if have := strings.Contains(log.String(), "takes the wrapper's place"); have != tc.place {
				t.Errorf("it is said that the command takes the wrapper's place: %t\n%s", have, &log)
			}
			if have := strings.Contains(log.String(), "record not written"); have != tc.fails {
				t.Errorf("it is said that the record was not written: %t\n%s", have, &log)
			}
		})
	}
}

func TestASignalThatCannotBeSentIsLogged(t *testing.T) {
	for _, fails := range []error{nil, syscall.EPERM} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			r := &rig{log: slog.New(slog.NewTextHandler(&log, nil)), signalError: fails}
			r.run(t, `{}`, func() {
				r.signals <- syscall.SIGHUP
				time.Sleep(time.Second)
				r.end(0)
			})
			if have := strings.Contains(log.String(), "signal not sent"); have != (fails != nil) {
				t.Errorf("with %v the log is\n%s", fails, &log)
			}
		})
	}
}
