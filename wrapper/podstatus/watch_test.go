package podstatus

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

// watching runs a Watch in which run stands for the network program. run
// receives the number of the program's run.
func watching(t *testing.T, run func(n int, line func([]byte) error) error) (out chan Snapshot, logs *strings.Builder, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, logs = make(chan Snapshot), new(strings.Builder)
	log := slog.New(slog.NewTextHandler(logs, nil))
	n, over := 0, make(chan struct{})
	network := func(_ context.Context, task string, input []byte, line func([]byte) error) error {
		var c Config
		if err := json.Unmarshal(input, &c); err != nil || task != spec.WatchTask || c.Pod != "web-0" {
			t.Errorf("task %s with %s: %v", task, input, err)
		}
		n++
		return run(n, line)
	}
	go func() {
		defer close(over)
		Config{Pod: "web-0"}.Watch(ctx, network, log, out)
	}()
	return out, logs, func() { cancel(); <-over }
}

func TestWatchRunsTheProgramAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, logs, stop := watching(t, func(n int, line func([]byte) error) error {
			switch n {
			case 1:
				return errors.New("resource temporarily unavailable")
			case 2, 3:
				return nil
			case 4:
				return line([]byte("no"))
			}
			return line([]byte(`{"a":{"started":true}}`))
		})
		defer stop()
		if diff := cmp.Diff(Snapshot{"a": {Started: true}}, <-out); diff != "" {
			t.Error(diff)
		}
		synctest.Wait()
		if n := strings.Count(logs.String(), "level=ERROR"); n != 2 || !strings.Contains(logs.String(), "temporarily unavailable") || !strings.Contains(logs.String(), "running again") {
			t.Errorf("logged: %s", logs)
		}
	})
}

func TestWatchWaitsLongerAfterEachFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, runs := time.Now(), 0
		_, _, stop := watching(t, func(n int, _ func([]byte) error) error { runs = n; return errors.New("no") })
		time.Sleep(time.Minute)
		stop()
		if most := int(time.Since(began)/(mostDelay/2)) + 7; runs > most || runs < 12 {
			t.Errorf("started %d times in a minute", runs)
		}
	})
}

func TestDelaysGrowAndVary(t *testing.T) {
	for failures, most := range map[int]time.Duration{1: firstDelay, 2: 2 * firstDelay, 4: 8 * firstDelay, 7: mostDelay, 1000: mostDelay} {
		least, highest := time.Hour, time.Duration(0)
		for range 1000 {
			d := delay(failures)
			least, highest = min(least, d), max(highest, d)
		}
		// Half of the delay is fixed, and the other half is spread evenly.
		if least < most/2 || least > most*6/10 || highest > most || highest < most*9/10 {
			t.Errorf("after %d failures the delays are %s to %s, want %s to %s", failures, least, highest, most/2, most)
		}
	}
}

func TestAWatchThatNeverFailedIsNotRunningAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		out, logs, stop := watching(t, func(_ int, line func([]byte) error) error {
			err := line([]byte(`{}`))
			<-hold
			return err
		})
		<-out
		synctest.Wait()
		if logs.Len() > 0 {
			t.Errorf("logged: %s", logs)
		}
		close(hold)
		stop()
	})
}

func TestWatchEndsWithAReportThatNobodyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, stop := watching(t, func(_ int, line func([]byte) error) error { return line([]byte(`{}`)) })
		synctest.Wait()
		stop()
	})
}

// TestASnapshotSurvivesItsWay sets every field and checks that none is lost in
// JSON.
func TestASnapshotSurvivesItsWay(t *testing.T) {
	var c Container
	for v, i := reflect.ValueOf(&c).Elem(), 0; i < v.NumField(); i++ {
		switch f := v.Field(i); f.Kind() {
		case reflect.Bool:
			f.SetBool(true)
		case reflect.String:
			f.SetString("x")
		default:
			f.SetInt(int64(i + 1))
		}
	}
	text, err := json.Marshal(Snapshot{"a": c, "b": {}})
	if err != nil {
		t.Fatal(err)
	}
	var have Snapshot
	if err := json.Unmarshal(text, &have); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Snapshot{"a": c, "b": {}}, have); diff != "" {
		t.Error(diff)
	}
}
