package wrapper

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

var (
	recRunning = record.Peer{State: record.State{Phase: "running", Started: true}, Alive: true}
	recReady   = record.Peer{State: record.State{Phase: "running", Started: true, Ready: true}, Alive: true}
	recDone    = record.Peer{State: record.State{Phase: "exited", Started: true, Exit: &record.Exit{ForGood: true}}}
)

// stopping returns p after it has received a stop request.
func stopping(p record.Peer) record.Peer {
	p.Stopping = true
	return p
}

func TestARecordTellsWithoutTheStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}}
		got := r.run(t, `{"startDeps":["proxy"],"stopDeps":["main"],"wrapped":["proxy","main"]}`, func() {
			r.peers <- record.Snapshot{"proxy": recRunning, "main": recRunning}
			time.Sleep(time.Second)
			r.peers <- record.Snapshot{"proxy": recReady, "main": recRunning}
			time.Sleep(20 * time.Second)
			r.peers <- record.Snapshot{"proxy": recReady, "main": recDone}
		})
		if want := (outcome{0, mainExited, 21 * time.Second}); got != want || r.startedAfter != time.Second {
			t.Fatalf("have %+v, started after %s, want %+v, started after 1s", got, r.startedAfter, want)
		}
		if len(r.watches) > 0 {
			t.Fatalf("the status was watched after %v", r.watches)
		}
	})
}

func TestTheStatusIsWatchedOnlyWhileItIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{}
		r.run(t, `{"startDeps":["proxy","cache"],"wrapped":["proxy","cache"]}`, func() {
			r.peers <- record.Snapshot{"proxy": recReady} // nothing about cache
			time.Sleep(12 * time.Second)
			r.pod <- podstatus.Snapshot{"proxy": running, "cache": ready}
			time.Sleep(5 * time.Second)
			r.end(0)
		})
		synctest.Wait()
		if want := []time.Duration{10 * time.Second}; !slices.Equal(r.watches, want) {
			t.Errorf("watched after %v, want %v", r.watches, want)
		}
		if want := []time.Duration{12 * time.Second}; !slices.Equal(r.closed, want) {
			t.Errorf("watched no more after %v, want %v", r.closed, want)
		}
		if r.startedAfter != 12*time.Second {
			t.Errorf("started after %s, want 12s", r.startedAfter)
		}
	})
}

func TestAStopRequestIsHeldForTheDependents(t *testing.T) {
	const text = `{"holdFor":["main"],"wrapped":["main"],"gracePeriod":"30s","stopTimeout":"30s"}`
	const outOfTime = "own-05 until the grace period leaves just the time to end"
	for name, tc := range map[string]struct {
		script func(r *rig)
		want   time.Duration // when SIGTERM is sent
	}{
		"kube-term-01 until they have exited": {func(r *rig) {
			r.signals <- syscall.SIGTERM
			r.peers <- record.Snapshot{"main": stopping(recRunning)}
			time.Sleep(5 * time.Second)
			r.peers <- record.Snapshot{"main": recDone}
		}, 6 * time.Second},
		outOfTime: {func(r *rig) {
			r.signals <- syscall.SIGTERM
			r.peers <- record.Snapshot{"main": stopping(recRunning)}
		}, 1*time.Second + 22500*time.Millisecond},
		"a moment when only this container is restarted": {func(r *rig) {
			r.signals <- syscall.SIGTERM
		}, 3 * time.Second},
		"not at all when none of them runs": {func(r *rig) {
			r.peers <- record.Snapshot{"main": recDone}
			synctest.Wait()
			r.signals <- syscall.SIGTERM
		}, time.Second},
		"own-04 whatever else comes": {func(r *rig) {
			r.signals <- syscall.SIGTERM
			r.peers <- record.Snapshot{"main": stopping(recRunning)}
			time.Sleep(time.Second)
			r.signals <- syscall.SIGTERM
			r.signals <- syscall.SIGUSR1
			time.Sleep(time.Second)
			r.peers <- record.Snapshot{"main": recDone}
		}, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rig{onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}}
				got := r.run(t, text, func() {
					r.peers <- record.Snapshot{"main": recRunning}
					time.Sleep(time.Second)
					tc.script(r)
				})
				want := outcome{after: tc.want}
				if name == outOfTime {
					want.message = spec.HeldTooLong
				}
				if got != want {
					t.Fatalf("have %+v, want %+v; sent %v", got, want, r.sent)
				}
			})
		})
	}
}

// TestAStopRequestIsHeldUntilARecordShowsTheExit has a status that does not show it,
// because the kubelet writes no container statuses while it terminates a pod.
func TestAStopRequestIsHeldUntilARecordShowsTheExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := podstatus.Snapshot{"main": {Started: true, Ready: true, Runs: true}}
		r := &rig{onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}, first: runs}
		got := r.run(t, `{"source":"pod","holdFor":["main"],"wrapped":["main"],"gracePeriod":"1h"}`, func() {
			r.peers <- record.Snapshot{"main": recRunning}
			time.Sleep(time.Second)
			r.signals <- syscall.SIGTERM
			r.peers <- record.Snapshot{"main": stopping(recRunning)}
			time.Sleep(9 * time.Second)
			r.peers <- record.Snapshot{"main": recDone}
		})
		if want := (outcome{after: 10 * time.Second}); got != want {
			t.Errorf("have %+v, want %+v; sent %v", got, want, r.sent)
		}
	})
}

func TestAStopRequestIsHeldForLessAfterALongHook(t *testing.T) {
	dir := place(t)
	r := &rig{onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}, record: newRecord(t, dir)}
	synctest.Test(t, func(t *testing.T) {
		got := r.run(t, `{"holdFor":["main"],"wrapped":["main"],"gracePeriod":"30s"}`, func() {
			r.peers <- record.Snapshot{"main": stopping(recRunning)}
			synctest.Wait()
			hookBegan(t, dir, 15*time.Second)
			r.signals <- syscall.SIGTERM
		})
		if got.after > 7500*time.Millisecond || got.message != spec.HeldTooLong {
			t.Errorf("have %+v, want at most 30 s - 15 s - 7.5 s", got)
		}
	})
}

// hookBegan makes the note of a preStop hook that began some time ago.
func hookBegan(t *testing.T, dir string, ago time.Duration) {
	if err := record.Stopping(dir); err != nil {
		t.Error(err)
	}
	notes, err := filepath.Glob(filepath.Join(dir, "stopping-*"))
	if err != nil || len(notes) != 1 {
		t.Errorf("notes %q, error %v", notes, err)
		return
	}
	if err := os.WriteFile(notes[0], strconv.AppendInt(nil, int64(record.Now().Boot-ago), 10), 0o600); err != nil {
		t.Error(err)
	}
}

func TestHooks(t *testing.T) {
	term := map[syscall.Signal]int{syscall.SIGTERM: 0}
	for name, tc := range map[string]struct {
		spec    string
		rig     *rig
		want    outcome
		ran     []string
		termed  time.Duration
		noTerms bool
	}{
		"postStart runs after the start": {
			`{"postStart":{"exec":{"command":["hello"]}}}`,
			&rig{helperEnd: map[string]int{"hello": 0}},
			outcome{4, "", 10 * time.Second},
			[]string{"hello"},
			0, true,
		},
		"a postStart hook that fails ends the container": {
			`{"postStart":{"exec":{"command":["hello"]}}}`,
			&rig{helperEnd: map[string]int{"hello": 7}, onSignal: term},
			outcome{0, `koordinator: stopped: postStart hook: "hello": exit code 7`, 0},
			[]string{"hello"},
			0, false,
		},
		"preStop runs before a stop dependency's stop": {
			`{"stopDeps":["main"],"preStop":{"exec":{"command":["bye"]}}}`,
			&rig{helperEnd: map[string]int{"bye": 0}, onSignal: term},
			outcome{0, mainExited, time.Second},
			[]string{"bye"},
			time.Second, false,
		},
		"a preStop hook that hangs is waited for as long as the stop timeout": {
			`{"stopDeps":["main"],"stopTimeout":"3s","preStop":{"exec":{"command":["bye"]}}}`,
			&rig{onSignal: term},
			outcome{0, mainExited, 4 * time.Second},
			[]string{"bye"},
			4 * time.Second, false,
		},
		"preStop may be a pause": {
			`{"stopDeps":["main"],"preStop":{"sleep":{"seconds":2}}}`,
			&rig{onSignal: term},
			outcome{0, mainExited, 3 * time.Second},
			nil, 3 * time.Second, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := tc.rig
				r.first = mainRuns
				got := r.run(t, tc.spec, func() {
					time.Sleep(time.Second)
					select {
					case r.pod <- podstatus.Snapshot{"main": done}:
					case <-time.After(time.Second):
					}
					time.Sleep(8 * time.Second)
					r.end(4)
				})
				if got != tc.want || !slices.Equal(r.ran, tc.ran) {
					t.Fatalf("have %+v, ran %v; want %+v, %v", got, r.ran, tc.want, tc.ran)
				}
				term := slices.IndexFunc(r.sent, func(s signalled) bool { return s.signal == syscall.SIGTERM && !s.group })
				if tc.noTerms != (term < 0) || term >= 0 && r.sent[term].after != tc.termed {
					t.Fatalf("sent %v, want SIGTERM after %s (none: %v)", r.sent, tc.termed, tc.noTerms)
				}
			})
		})
	}
}

func TestRequests(t *testing.T) {
	const stop = "POST http://127.0.0.1:15020/quitquitquit"
	for name, tc := range map[string]struct {
		spec    string
		answers map[string]error
		ends    time.Duration // when the command ends by itself
		want    outcome
		asked   []string
		signals []signalled
	}{
		"stopHTTP instead of the signal": {
			`{"stopDeps":["main"],"stopHTTP":"` + stop + `"}`, nil, 3 * time.Second,
			outcome{0, mainExited, 3 * time.Second},
			[]string{stop},
			nil,
		},
		"the signal when it fails": {
			`{"stopDeps":["main"],"stopHTTP":"` + stop + `"}`,
			map[string]error{stop: errors.New("refused")},
			3 * time.Second,
			outcome{0, mainExited, 3 * time.Second},
			[]string{stop},
			[]signalled{{syscall.SIGTERM, time.Second, false}},
		},
		"the signal when nothing ends": {
			`{"stopDeps":["main"],"stopHTTP":"` + stop + `","stopTimeout":"4s"}`, nil, 4 * time.Second,
			outcome{0, mainExited, 4 * time.Second},
			[]string{stop},
			[]signalled{{syscall.SIGTERM, 3 * time.Second, false}},
		},
		"exitHTTP after the end, whatever the answer": {
			`{"exitHTTP":["GET http://127.0.0.1:1/a","POST http://127.0.0.1:1/b"]}`,
			map[string]error{"GET http://127.0.0.1:1/a": probe.Refusal{Status: 404}},
			time.Second,
			outcome{4, "", time.Second},
			[]string{"GET http://127.0.0.1:1/a", "POST http://127.0.0.1:1/b"},
			nil,
		},
		"exitHTTP not before a restart": {
			`{"exitHTTP":["GET http://127.0.0.1:1/a"],"restart":{"policy":"OnFailure"}}`, nil, time.Second,
			outcome{4, "", time.Second},
			nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rig{answers: tc.answers, first: mainRuns}
				got := r.run(t, tc.spec, func() {
					go func() {
						time.Sleep(tc.ends)
						r.end(4)
					}()
					time.Sleep(time.Second)
					select {
					case r.pod <- podstatus.Snapshot{"main": done}:
					case <-time.After(time.Second):
					}
				})
				toCommand := slices.DeleteFunc(slices.Clone(r.sent), func(s signalled) bool { return s.group || s.signal == syscall.SIGCONT })
				if got != tc.want || !slices.Equal(r.asked, tc.asked) || !slices.Equal(toCommand, tc.signals) {
					t.Fatalf("have %+v, asked %q, sent %v; want %+v, %q, %v", got, r.asked, toCommand, tc.want, tc.asked, tc.signals)
				}
			})
		})
	}
}

func TestA31ExitRequestsAreSentUntilTheyAreAnswered(t *testing.T) {
	const quit = "POST http://127.0.0.1:1/quit"
	for name, tc := range map[string]struct {
		script func(r *rig)
		want   outcome
		tries  int
		end    string // the last log line
	}{
		"the server listens later": {func(r *rig) {
			time.Sleep(2 * time.Second)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.answers = nil
		}, outcome{4, "", 4100 * time.Millisecond}, 6, "exit request sent"},
		"nobody ever answers":                     {func(*rig) {}, outcome{4, "", 61 * time.Second}, 17, "exit request failed"},
		"A15 the pod is stopped before an answer": {func(r *rig) { r.signals <- syscall.SIGTERM }, outcome{4, "", 8500 * time.Millisecond}, 7, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				r := &rig{answers: map[string]error{quit: errors.New("connection refused")}, log: slog.New(slog.NewTextHandler(&log, nil))}
				got := r.run(t, `{"exitHTTP":["`+quit+`"],"gracePeriod":"30s"}`, func() {
					time.Sleep(time.Second)
					r.end(4)
					synctest.Wait()
					tc.script(r)
				})
				if got != tc.want || len(r.asked) != tc.tries {
					t.Fatalf("have %+v, %d tries; want %+v, %d", got, len(r.asked), tc.want, tc.tries)
				}
				if n := strings.Count(log.String(), "not answered, sent again"); n != 1 {
					t.Errorf("it is said %d times that the request is sent again, want once", n)
				}
				for _, end := range []string{"exit request sent", "exit request failed"} {
					if said := strings.Contains(log.String(), end); said != (end == tc.end) {
						t.Errorf("%q is logged: %t\n%s", end, said, &log)
					}
				}
			})
		})
	}
}

func TestB15AFailedHookSaysWhatItPrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{
			helperEnd: map[string]int{"hello": 7}, printed: map[string]string{"hello": "no route to db"},
			onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0},
		}
		got := r.run(t, `{"postStart":{"exec":{"command":["hello"]}}}`, func() {})
		if want := (outcome{0, `koordinator: stopped: postStart hook: "hello": exit code 7: no route to db`, 0}); got != want {
			t.Fatalf("have %+v, want %+v", got, want)
		}
	})
}

func TestB15AProbeThatNeverPassesIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		r := &rig{answers: map[string]error{"check": errors.New("503 Service Unavailable")}, log: slog.New(slog.NewTextHandler(&lines, nil))}
		r.run(t, `{"readyProbes":[{"httpGet":{"port":80}}]}`, func() {
			time.Sleep(90 * time.Second)
			r.end(0)
		})
		if have := strings.Count(lines.String(), `msg="command not ready yet"`); have != 2 || !strings.Contains(lines.String(), "503") {
			t.Errorf("logged %d times in 90 s, want 2:\n%s", have, &lines)
		}
	})
}

func TestA7ACommandWhoseStopDependencyHoldsIsNeverStarted(t *testing.T) {
	for name, tc := range map[string]struct {
		spec string
		rig  *rig
		want outcome
	}{
		"by its record": {
			`{"stopDeps":["main"],"wrapped":["main"]}`, &rig{look: record.Snapshot{"main": recDone}},
			outcome{0, "koordinator: command not started: main exited with code 0 before the command was started", 0},
		},
		"by the pod's status": {
			`{"stopDeps":["main"]}`, &rig{first: podstatus.Snapshot{"main": done}},
			outcome{0, "koordinator: command not started: main exited with code 0 before the command was started", 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := tc.rig.run(t, tc.spec, func() {}); got != tc.want || tc.rig.startedAfter != -1 {
					t.Errorf("have %+v, started after %s, want %+v and no start", got, tc.rig.startedAfter, tc.want)
				}
			})
		})
	}
}

func TestA24TheEndOfACommandInTheWrappersPlaceIsLearntWithoutTheStatus(t *testing.T) {
	gone := record.Peer{State: record.State{Phase: "running", Started: true, KilledForGood: true, Process: &record.Process{}}}
	synctest.Test(t, func(t *testing.T) {
		r := &rig{statusError: errors.New("no token"), onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}}
		got := r.run(t, `{"stopDeps":["main"],"wrapped":["main"]}`, func() {
			r.peers <- record.Snapshot{"main": recRunning}
			time.Sleep(time.Second)
			r.peers <- record.Snapshot{"main": gone}
		})
		if want := (outcome{0, "koordinator: stopped: main exited with code 137", time.Second}); got != want {
			t.Fatalf("have %+v, want %+v", got, want)
		}
	})
}

func TestACommandInTheWrappersPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{startError: &process.StartError{Argv0: "app", Err: syscall.EACCES, Code: 126}}
		got := r.run(t, `{"mode":"exec","startDeps":["a=exited"],"wrapped":["a"]}`, func() {
			time.Sleep(time.Second)
			r.peers <- record.Snapshot{"a": recDone}
		})
		if want := (outcome{126, `koordinator: command not started: start "app": permission denied`, time.Second}); got != want || !r.replaced {
			t.Fatalf("have %+v, replaced %v, want %+v", got, r.replaced, want)
		}
	})
}
