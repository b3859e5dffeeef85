package wrapper

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"koordinator.io/koordinator/wrapper/envfile"
	"koordinator.io/koordinator/wrapper/record"
)

func TestTheCommandStartsWithVariablesFromFiles(t *testing.T) {
	want := []envfile.Variable{{Name: "PASSWORD", Value: "hunter2"}}
	for _, mode := range []string{"supervise", "exec"} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			r := &rig{
				files: func() ([]envfile.Variable, error) { return want, nil },
				log:   slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			}
			if mode == "exec" {
				r.startError = errors.New("out of luck")
			}
			r.run(t, `{"mode":"`+mode+`","envFiles":"/env","startDeps":["a"],"wrapped":["a"]}`, func() {
				r.peers <- record.Snapshot{"a": recReady}
				time.Sleep(time.Second)
				r.end(0)
			})
			if !slices.Equal(r.variables, want) {
				t.Errorf("%s: started with %q", mode, r.variables)
			}
			if strings.Contains(log.String(), "hunter2") {
				t.Errorf("%s: the log has a value:\n%s", mode, &log)
			}
		})
	}
}

func TestASlowDiskDelaysNoStopRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan struct{})
		r := &rig{files: func() ([]envfile.Variable, error) { <-read; return nil, nil }}
		got := r.run(t, `{"envFiles":"/env"}`, func() {
			time.Sleep(5 * time.Second)
			r.signals <- syscall.SIGTERM
			time.Sleep(time.Second)
			close(read)
		})
		want := outcome{143, "koordinator: command not started: stopped by SIGTERM while waiting for its env files to be read", 5 * time.Second}
		if got != want || r.startedAfter != -1 {
			t.Errorf("have %+v, started after %s, want %+v and no start", got, r.startedAfter, want)
		}
	})
}

func TestAFileThatCannotBeUsedKeepsTheCommandFromStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{files: func() ([]envfile.Variable, error) { return nil, errors.New("env file /env: line 2: no assignment") }}
		got := r.run(t, `{"envFiles":"/env"}`, func() {})
		want := outcome{78, "koordinator: command not started: env file /env: line 2: no assignment", 0}
		if got != want || r.startedAfter != -1 {
			t.Errorf("have %+v, started after %s, want %+v and no start", got, r.startedAfter, want)
		}
	})
}
