package wrapper

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/record"
)

// answerAt sets the error with which an endpoint refuses connections from now
// on; nil means that it answers.
func (r *rig) answerAt(endpoint string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers == nil {
		r.answers = map[string]error{}
	}
	r.answers[endpoint] = err
}

var errRefused = errors.New("connection refused")

func TestACommandStartsOnceItsEndpointHasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := &rig{answers: map[string]error{"tcp://db:5432": errRefused}, log: slog.New(slog.NewTextHandler(&log, nil))}
		r.run(t, `{"startDeps":["tcp://db:5432"]}`, func() {
			time.Sleep(time.Minute)
			r.answerAt("tcp://db:5432", nil)
			time.Sleep(time.Minute)
			r.end(0)
		})
		if r.startedAfter < time.Minute || r.startedAfter > time.Minute+8*time.Second {
			t.Errorf("started after %s", r.startedAfter)
		}
		if first, last := r.endpoints[0], r.endpoints[len(r.endpoints)-1]; first < 100*time.Millisecond || first > 150*time.Millisecond || last > r.startedAfter {
			t.Errorf("asked after %s at first and %s at last", first, last)
		}
		if len(r.watches) > 0 {
			t.Errorf("the status was watched after %v", r.watches)
		}
		if n := strings.Count(log.String(), "connection refused"); n != 1 {
			t.Errorf("the reason was logged %d times:\n%s", n, &log)
		}
	})
}

func TestAskingEndsWithTheWait(t *testing.T) {
	for name, tc := range map[string]struct {
		spec string
		end  func(r *rig)
	}{
		"by a stop request":       {`{"startDeps":["tcp://db:5432"]}`, func(r *rig) { r.signals <- syscall.SIGTERM }},
		"by a stop dependency":    {`{"startDeps":["tcp://db:5432"],"stopDeps":["main"],"wrapped":["main"]}`, func(r *rig) { r.peers <- record.Snapshot{"main": recDone} }},
		"by the start timeout":    {`{"startDeps":["tcp://db:5432?"],"startTimeout":"1s"}`, func(*rig) {}},
		"for one that is dropped": {`{"startDeps":["tcp://db:5432?"],"startTimeout":"1s","onStartTimeout":"start"}`, func(*rig) {}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rig{answers: map[string]error{"tcp://db:5432": errRefused}}
				r.run(t, tc.spec, func() {
					time.Sleep(time.Second)
					tc.end(r)
					time.Sleep(30 * time.Second)
					r.end(0)
				})
				if last := r.endpoints[len(r.endpoints)-1]; last > 2*time.Second {
					t.Errorf("asked after %v", r.endpoints)
				}
			})
		})
	}
}

func TestAReadyEndpointStandsForAContainerWithoutAPI(t *testing.T) {
	const url = "http://127.0.0.1:15021/healthz/ready"
	const text = `{"startDeps":["istio-proxy"],"source":"local","readyEndpoints":{"istio-proxy":"` + url + `"}}`
	synctest.Test(t, func(t *testing.T) {
		r := &rig{answers: map[string]error{url: errRefused}}
		r.run(t, text, func() {
			time.Sleep(30 * time.Second)
			r.answerAt(url, nil)
			time.Sleep(time.Minute)
			r.end(0)
		})
		if r.startedAfter < 30*time.Second || r.startedAfter > 38*time.Second {
			t.Errorf("started after %s", r.startedAfter)
		}
		if len(r.watches) > 0 {
			t.Errorf("the status was watched after %v", r.watches)
		}
	})
}

func TestTheStatusIsReadWhereAReadyEndpointIsSilent(t *testing.T) {
	const url = "http://127.0.0.1:15021/healthz/ready"
	const text = `{"startDeps":["istio-proxy"],"readyEndpoints":{"istio-proxy":"` + url + `"}}`
	for name, tc := range map[string]struct {
		status podstatus.Container
		code   int
	}{
		"ready":  {ready, 0},
		"exited": {podstatus.Container{Started: true, Exited: true, Code: 3}, 69},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rig{answers: map[string]error{url: errRefused}, first: podstatus.Snapshot{"istio-proxy": tc.status}}
				got := r.run(t, text, func() {
					time.Sleep(time.Minute)
					r.end(0)
				})
				if len(r.watches) != 1 || r.watches[0] != recordGrace || got.code != tc.code {
					t.Errorf("code %d, status watched after %v", got.code, r.watches)
				}
			})
		})
	}
}

func TestADelegatedStopIsSentByTheLastToExit(t *testing.T) {
	const quit = "POST http://127.0.0.1:1/quit"
	const text = `{"container":"main","restart":{"policy":"Never"},"wrapped":["other"],"delegated":[{"container":"p","request":"` + quit + `","stopWhen":"all","stopDeps":["main","other"]}]}`
	otherDone, otherEarlier := record.Snapshot{"other": recDone}, podstatus.Snapshot{"other": {Started: true, Exited: true}}
	for name, tc := range map[string]struct {
		other  record.Snapshot
		status podstatus.Snapshot
		want   int
	}{
		"the other still runs":                   {record.Snapshot{"other": recRunning}, nil, 0},
		"the other has exited":                   {otherDone, nil, 1},
		"the other exited in an earlier sandbox": {nil, otherEarlier, 1},
		"the other has yet to start":             {nil, podstatus.Snapshot{"other": {}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rig{first: tc.status}
				got := r.run(t, text, func() {
					if tc.other != nil {
						r.peers <- tc.other
					}
					time.Sleep(time.Second)
					r.end(0)
				})
				if len(r.asked) != tc.want || got.code != 0 {
					t.Errorf("code %d, sent %v, want %d", got.code, r.asked, tc.want)
				}
			})
		})
	}
}

func TestADelegatedStopTrustsRecordsAlsoWhereTheStatusIsTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const text = `{"container":"main","source":"pod","restart":{"policy":"Never"},"wrapped":["other"],"delegated":[{"container":"p","request":"POST http://h/","stopWhen":"all","stopDeps":["main","other"]}]}`
		r := &rig{first: podstatus.Snapshot{"other": running}} // the kubelet has not reported the exit yet
		r.run(t, text, func() {
			r.peers <- record.Snapshot{"other": recDone}
			time.Sleep(time.Second)
			r.end(0)
		})
		if len(r.asked) != 1 {
			t.Errorf("sent %v", r.asked)
		}
	})
}
