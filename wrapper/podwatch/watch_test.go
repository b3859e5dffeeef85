package podwatch

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/podstatus"
)

var (
	isStarted = podstatus.Container{Started: true, Runs: true}
	isReady   = podstatus.Container{Started: true, Ready: true, Runs: true}
	isDone    = podstatus.Container{Started: true, Exited: true, Ends: 1}
)

func TestWatchGoesOn(t *testing.T) {
	running7 := list("7", podAt("5", running))
	readyEvent := change("MODIFIED", podAt("8", running+ready))
	doneEvent := change("MODIFIED", podAt("9", exit0))
	tests := []struct {
		name   string
		script []http.HandlerFunc
		want   []podstatus.Container
		story  []string
	}{
		{
			"list, then events",
			[]http.HandlerFunc{running7, both(events(readyEvent, doneEvent), hold)},
			[]podstatus.Container{isStarted, isReady, isDone},
			[]string{"list", "watch 7"},
		},
		{
			"hbt-04 a watch that ends is resumed where it ended",
			[]http.HandlerFunc{running7, events(readyEvent), events(doneEvent)},
			[]podstatus.Container{isStarted, isReady, isDone},
			[]string{"list", "watch 7", "watch 8", "watch 9"},
		},
		{
			"a bookmark moves on",
			[]http.HandlerFunc{running7, events(change("BOOKMARK", `{"kind":"Pod","metadata":{"resourceVersion":"70"},"spec":{"containers":null},"status":{}}`)), events(doneEvent)},
			[]podstatus.Container{isStarted, isDone},
			[]string{"list", "watch 7", "watch 70", "watch 9"},
		},
		{
			"410 Gone",
			[]http.HandlerFunc{running7, status(410, expired), list("12", podAt("11", exit0))},
			[]podstatus.Container{isStarted, isDone},
			[]string{"list", "watch 7", "list", "watch 12"},
		},
		{
			"an ERROR event",
			[]http.HandlerFunc{running7, events(readyEvent, change("ERROR", expired)), list("12", podAt("11", exit0))},
			[]podstatus.Container{isStarted, isReady, isDone},
			[]string{"list", "watch 7", "list", "watch 12"},
		},
		{
			"500 keeps the version",
			[]http.HandlerFunc{running7, status(500, "oops"), events(doneEvent)},
			[]podstatus.Container{isStarted, isDone},
			[]string{"list", "watch 7", "watch 7", "watch 9"},
		},
		{
			"reset before the answer",
			[]http.HandlerFunc{reset, running7, reset, events(doneEvent)},
			[]podstatus.Container{isStarted, isDone},
			[]string{"list", "list", "watch 7", "watch 7", "watch 9"},
		},
		{
			"reset in the middle of a document",
			[]http.HandlerFunc{running7, both(events(readyEvent, doneEvent[:len(doneEvent)/2]), reset), events(doneEvent)},
			[]podstatus.Container{isStarted, isReady, isDone},
			[]string{"list", "watch 7", "watch 8", "watch 9"},
		},
		{
			"an end in the middle of a document",
			[]http.HandlerFunc{running7, events(doneEvent[:len(doneEvent)/2]), events(doneEvent)},
			[]podstatus.Container{isStarted, isDone},
			[]string{"list", "watch 7", "watch 7", "watch 9"},
		},
		{
			"a list cut short",
			[]http.HandlerFunc{status(200, `{"metadata":{"resourceVersion":"1"},"items":[{"meta`), running7},
			[]podstatus.Container{isStarted},
			[]string{"list", "list", "watch 7"},
		},
		{
			"a page of HTML",
			[]http.HandlerFunc{status(200, "<html>sign in</html>"), running7, status(200, "<html>"), events(doneEvent)},
			[]podstatus.Container{isStarted, isDone},
			[]string{"list", "list", "watch 7", "watch 7", "watch 9"},
		},
		{
			"JSON that is no list",
			[]http.HandlerFunc{status(200, "{}"), status(200, "null"), running7},
			[]podstatus.Container{isStarted},
			[]string{"list", "list", "list", "watch 7"},
		},
		{
			"an event too large",
			[]http.HandlerFunc{running7, events(`{"type":"MODIFIED","object":{"x":"` + strings.Repeat("x", maxObject) + `"}}`), events(doneEvent)},
			[]podstatus.Container{isStarted, isDone},
			[]string{"list", "watch 7", "watch 7", "watch 9"},
		},
		{
			"slow bytes",
			[]http.HandlerFunc{running7, func(rw http.ResponseWriter, r *http.Request) {
				for _, c := range doneEvent {
					time.Sleep(100 * time.Millisecond)
					events(string(c))(rw, r)
				}
				hold(rw, r)
			}},
			[]podstatus.Container{isStarted, isDone},
			[]string{"list", "watch 7"},
		},
		{
			"hbt-04 403, then permitted",
			[]http.HandlerFunc{status(403, ""), status(403, ""), running7, status(403, ""), events(doneEvent)},
			[]podstatus.Container{isStarted, isDone},
			[]string{"list", "list", "list", "watch 7", "watch 7", "watch 9"},
		},
		{
			"no pod yet, and others of the namespace",
			[]http.HandlerFunc{
				list("7", strings.Replace(podAt("5", exit3), "web-0", "web-1", 1)),
				events(change("ADDED", podAt("8", running))),
			},
			[]podstatus.Container{isStarted},
			[]string{"list", "watch 7", "watch 8"},
		},
		{
			"deleted with a last word, then another of its name",
			[]http.HandlerFunc{
				running7,
				events(change("DELETED", podAt("9", exit0)), change("ADDED", strings.Replace(podAt("10", running+ready), "u1", "u2", 1))),
			},
			[]podstatus.Container{isStarted, isDone},
			[]string{"list", "watch 7", "watch 10"},
		},
		{
			"an unknown event",
			[]http.HandlerFunc{running7, both(events(change("WHAT", `{"metadata":{"name":"web-0"}}`), doneEvent), hold)},
			[]podstatus.Container{isStarted, isDone},
			[]string{"list", "watch 7"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := files(t, nil)
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, c, &api{script: test.script})
				b.expect(t, test.want...)
				time.Sleep(time.Second) // fake time: everything that was due has happened
				synctest.Wait()
				b.stop()
				if diff := cmp.Diff(test.story, b.story()); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestNoFailureMakesABusyLoop(t *testing.T) {
	cycle := func(handlers ...http.HandlerFunc) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("watch") {
				handlers[1](rw, r)
			} else {
				handlers[0](rw, r)
			}
		}
	}
	seven := list("7", podAt("5", running))
	tests := map[string]http.HandlerFunc{
		"403":                 status(403, `{"message":"pods is forbidden"}`),
		"401":                 status(401, ""),
		"404":                 status(404, ""),
		"500":                 status(500, ""),
		"redirect":            status(302, "", "Location", "/"),
		"reset":               reset,
		"HTML":                status(200, "<html>"),
		"429 without a wish":  status(429, "", "Retry-After", "0"),
		"watch ends at once":  cycle(seven, events()),
		"watch is an event":   cycle(seven, events(change("MODIFIED", podAt("8", exit0)))),
		"watch always 410":    cycle(seven, status(410, expired)),
		"watch always ERROR":  cycle(seven, events(change("ERROR", expired))),
		"watch always resets": cycle(seven, reset),
		"watch is garbage":    cycle(seven, events("}{")),
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			c := files(t, nil)
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, c, &api{rest: answer})
				time.Sleep(10 * time.Minute)
				b.stop()
				// Delays of 2.5–5 s after a few shorter ones; 410 takes two requests.
				if n := len(b.requests()); n < 100 || n > 500 {
					t.Errorf("%d requests in 10 minutes", n)
				}
				if n := len(b.logs.lines()); n > 6 {
					t.Errorf("%d lines logged in 10 minutes:\n%s", n, strings.Join(b.logs.lines(), "\n"))
				}
			})
		})
	}
}

func TestRetryAfterIsObeyedWithinBounds(t *testing.T) {
	for _, test := range []struct {
		code     int
		wish     string
		min, max time.Duration
	}{
		{429, "3", 3 * time.Second, 3400 * time.Millisecond},
		{503, "1", time.Second, 1200 * time.Millisecond},
		{429, "86400", 30 * time.Second, 34 * time.Second},
		{429, "soon", 50 * time.Millisecond, 100 * time.Millisecond},
		{429, "-1", 50 * time.Millisecond, 100 * time.Millisecond},
		{500, "", 50 * time.Millisecond, 100 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(test.code, " ", test.wish), func(t *testing.T) {
			c := files(t, nil)
			synctest.Test(t, func(t *testing.T) {
				refuse := status(test.code, "", "Retry-After", test.wish)
				b := newBubble(t, c, &api{script: []http.HandlerFunc{refuse, list("7", podAt("5", running))}})
				b.expect(t, isStarted)
				b.stop()
				r := b.requests()
				if d := r[1].at.Sub(r[0].at); d < test.min || d > test.max {
					t.Errorf("second request after %s, want %s to %s", d, test.min, test.max)
				}
			})
		})
	}
}

func TestASilentWatchIsGivenUp(t *testing.T) {
	c := files(t, nil)
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, c, &api{script: []http.HandlerFunc{list("7", podAt("5", running)), open}})
		b.expect(t, isStarted)
		time.Sleep(12 * time.Minute)
		b.stop()
		r := b.requests()
		if len(r) < 3 {
			t.Fatalf("requests = %v, want a second watch", r)
		}
		if d := r[2].at.Sub(r[1].at); d < 5*time.Minute || d > 11*time.Minute {
			t.Errorf("second watch after %s", d)
		}
		asked, err := strconv.Atoi(r[1].query.Get("timeoutSeconds"))
		if err != nil || asked < 300 || asked > 600 {
			t.Errorf("timeoutSeconds = %q, want 300 to 600", r[1].query.Get("timeoutSeconds"))
		}
	})
}

func TestAWatchThatEndsWithoutAWordIsNotTrusted(t *testing.T) {
	c := files(t, nil)
	silent := func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusOK)
		rw.(http.Flusher).Flush()
		time.Sleep(5 * time.Minute)
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, c, &api{script: []http.HandlerFunc{list("7", podAt("5", running)), silent, list("9", podAt("9", exit0))}})
		b.expect(t, isStarted, isDone)
		synctest.Wait()
		if diff := cmp.Diff([]string{"list", "watch 7", "list", "watch 9"}, b.story()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

func TestASlowReaderGetsTheLatest(t *testing.T) {
	c := files(t, nil)
	synctest.Test(t, func(t *testing.T) {
		many := make([]string, 0, 200)
		for i := range 100 {
			many = append(many, change("MODIFIED", podAt(strconv.Itoa(2*i+8), running)), change("MODIFIED", podAt(strconv.Itoa(2*i+9), runningB+ready)))
		}
		many = append(many, change("MODIFIED", podAt("300", exit0)))
		b := newBubble(t, c, &api{script: []http.HandlerFunc{list("7", podAt("5", creating)), events(many...)}})
		time.Sleep(time.Minute)
		b.expect(t, isDone)
		select {
		case s := <-b.out:
			t.Errorf("one more snapshot: %v", s)
		case <-time.After(time.Minute):
		}
	})
}

func TestOnlyChangesAreSent(t *testing.T) {
	c := files(t, nil)
	synctest.Test(t, func(t *testing.T) {
		same := change("MODIFIED", podAt("8", running))
		b := newBubble(t, c, &api{script: []http.HandlerFunc{list("7", podAt("5", running)), both(events(same, same), hold)}})
		b.expect(t, isStarted)
		select {
		case s := <-b.out:
			t.Errorf("one more snapshot: %v", s)
		case <-time.After(time.Minute):
		}
	})
}

func TestWatchEndsAtOnceWithItsContext(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"while it lists":                  hold,
		"while it watches":                list("7"),
		"while it pauses":                 status(429, "", "Retry-After", "30"),
		"while nobody reads the snapshot": list("7", podAt("5", running)),
	} {
		t.Run(name, func(t *testing.T) {
			c := files(t, nil)
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, c, &api{script: []http.HandlerFunc{answer}})
				time.Sleep(time.Second)
				began := time.Now()
				b.stop()
				if d := time.Since(began); d != 0 {
					t.Errorf("took %s", d)
				}
			})
		})
	}
}

func TestErrorsAreLoggedSeldomAndTheirEnd(t *testing.T) {
	forbidden := status(403, `{"kind":"Status","reason":"Forbidden","message":"pods is forbidden: User \"system:serviceaccount:shop:default\" cannot list resource"}`)
	remedy := []string{"shop/web-0", "403 Forbidden: pods is", "system:serviceaccount:shop:default", "get, list, watch on pods in namespace shop", "bind a role"}
	answers := func(n int) []http.HandlerFunc {
		all := make([]http.HandlerFunc, 0, n+1)
		for range n {
			all = append(all, forbidden)
		}
		return append(all, list("7", podAt("5", running)))
	}
	running7 := list("7", podAt("5", running))
	tests := []struct {
		name   string
		script []http.HandlerFunc
		want   [][]string // parts of each line
	}{
		{"forbidden for a moment", answers(2), [][]string{append(remedy, "INFO"), {"INFO", "pod watch resumed"}}},
		{"forbidden for long", answers(10), [][]string{append(remedy, "INFO"), append(remedy, "ERROR"), {"INFO", "pod watch resumed"}}},
		{"expired once", []http.HandlerFunc{running7, status(410, expired), running7}, nil},
		{"expired at once when resumed", []http.HandlerFunc{running7, status(500, "oops"), events(change("ERROR", expired)), running7}, [][]string{{"INFO", "watch pod: 500", "oops"}, {"resumed"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := files(t, nil)
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, c, &api{script: test.script})
				b.expect(t, isStarted)
				time.Sleep(time.Minute)
				b.stop()
				lines := b.logs.lines()
				if len(lines) != len(test.want) {
					t.Fatalf("%d lines, want %d:\n%s", len(lines), len(test.want), strings.Join(lines, "\n"))
				}
				for i, parts := range test.want {
					for _, part := range parts {
						if !strings.Contains(lines[i], part) {
							t.Errorf("%q is missing in: %s", part, lines[i])
						}
					}
				}
			})
		})
	}
}
