package image

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a time that tests advance.
type clock struct{ nanoseconds atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(1e9, c.nanoseconds.Load()) }
func (c *clock) pass(d time.Duration) { c.nanoseconds.Add(int64(d)) }

func TestHowLongAnswersAreUsed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fresh bool
		pass  time.Duration
		want  bool
	}{
		{"at once", false, 0, true},
		{"within minutes", false, answerAge - 1, true},
		{"after minutes", false, answerAge, false},
		{"at once with the policy Always", true, 0, true},
		{"within seconds with the policy Always", true, freshAge - 1, true},
		{"after seconds with the policy Always", true, freshAge, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, false)
			text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/old"}))
			var c clock
			r := registries(t, Settings{}, s)
			r.now = c.now
			if mustLook(t, r, Query{Image: text}).Cached {
				t.Error("the first answer comes from memory")
			}
			s.push(t, "app:1", built(t, "linux/amd64", []string{"/new"}))
			s.counted("")
			c.pass(tt.pass)
			facts := mustLook(t, r, Query{Image: text, Fresh: tt.fresh})
			entrypoint := map[bool]string{true: "/old", false: "/new"}[tt.want]
			if facts.Cached != tt.want || facts.Platforms[0].Config.Entrypoint[0] != entrypoint {
				t.Errorf("want %s from memory %v, have %+v", entrypoint, tt.want, facts)
			}
			if asked := s.counted("manifests") > 0; asked == tt.want {
				t.Errorf("asked: %v", asked)
			}
		})
	}
}

func TestATagThatStayedCostsOneHead(t *testing.T) {
	s := serve(t, false)
	text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/e"}))
	var c clock
	r := registries(t, Settings{}, s)
	r.now = c.now
	mustLook(t, r, Query{Image: text})
	if n := s.counted("GET /v2/app/"); n != 2 {
		t.Errorf("%d requests for manifest and configuration", n)
	}
	c.pass(answerAge)
	mustLook(t, r, Query{Image: text})
	if n := s.counted("/v2/app/"); n != 1 {
		t.Errorf("%d requests for what is known", n)
	}
}

func TestTheSameImageUnderTwoTagsIsReadOnce(t *testing.T) {
	s := serve(t, false)
	img := built(t, "linux/amd64", []string{"/e"})
	r := registries(t, Settings{}, s)
	mustLook(t, r, Query{Image: s.push(t, "app:1", img)})
	mustLook(t, r, Query{Image: s.push(t, "app:2", img)})
	if n := s.counted("/blobs/"); n != 1 {
		t.Errorf("the configuration was read %d times", n)
	}
}

func TestFailuresAreRememberedBriefly(t *testing.T) {
	for _, kind := range []Kind{NotFound, Unauthorized, RateLimited, Unreachable} {
		t.Run(string(kind), func(t *testing.T) {
			s := serve(t, false)
			codes := map[Kind]int{NotFound: 404, Unauthorized: 403, RateLimited: 429, Unreachable: 503}
			var healed atomic.Bool
			s.before = func(w http.ResponseWriter, _ *http.Request) {
				if !healed.Load() {
					w.WriteHeader(codes[kind])
				}
			}
			text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/e"}))
			var c clock
			r := registries(t, Settings{}, s)
			r.now = c.now
			if e := refusal(t, r, Query{Image: text}); e.Kind != kind {
				t.Fatalf("want %s, have %v", kind, e)
			}
			if n := s.counted(""); n != 1 {
				t.Errorf("%d requests: nothing may be sent twice", n)
			}
			healed.Store(true)
			c.pass(failureAge - 1)
			again := refusal(t, r, Query{Image: text, Keys: keysFor(t, "x", "other.example", "u", "p")})
			if again.Kind != kind || s.counted("") != 0 {
				t.Errorf("asked again: %v", again)
			}
			c.pass(1)
			mustLook(t, r, Query{Image: text})
		})
	}
}

func TestAFailureIsToldAsTheAnswerToEachQuestion(t *testing.T) {
	s := serve(t, false)
	r := registries(t, Settings{}, s)
	first := refusal(t, r, Query{Image: s.host + "/app", Keys: keysFor(t, "first", s.host, "", "p")})
	second := refusal(t, r, Query{Image: s.host + "/app:latest", Keys: keysFor(t, "second", s.host, "", "p")})
	if first.Image != s.host+"/app" || second.Image != s.host+"/app:latest" || strings.Contains(second.Error(), "first") || !strings.Contains(second.Error(), "second") {
		t.Errorf("first %v\nsecond %v", first, second)
	}
}

func TestOneLookupForAllThatAskAtOnce(t *testing.T) {
	s := serve(t, false)
	text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/e"}))
	arrived, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.before = func(_ http.ResponseWriter, _ *http.Request) {
		once.Do(func() { close(arrived) })
		<-goOn
	}
	r := registries(t, Settings{}, s)
	ask := func() error {
		_, err := look(t, r, Query{Image: text})
		return err
	}
	const askers = 20
	answers := make(chan error, askers)
	go func() { answers <- ask() }()
	<-arrived
	for range askers - 1 {
		go func() { answers <- ask() }()
	}
	close(goOn)
	for range askers {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if n := s.counted("GET /v2/app/"); n != 2 {
		t.Errorf("%d requests for manifest and configuration", n)
	}
}

// hanging returns a registry that does not answer until the returned function is
// called.
func hanging(t *testing.T) (*server, func()) {
	t.Helper()
	s := serve(t, false)
	over := make(chan struct{})
	stop := sync.OnceFunc(func() { close(over) })
	t.Cleanup(stop)
	s.before = func(_ http.ResponseWriter, _ *http.Request) { <-over }
	return s, stop
}

// awaitRequest waits until the registry has got a request.
func awaitRequest(t *testing.T, s *server) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); s.asks() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the registry gets no request")
		}
	}
}

func TestARegistryThatHangs(t *testing.T) {
	s, answer := hanging(t)
	text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/e"}))
	r := registries(t, Settings{}, s)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := r.Look(ctx, Query{Image: text})
	var e *Error
	if !errors.As(err, &e) || e.Kind != Timeout {
		t.Fatalf("have %v", err)
	}
	answer()
	mustLook(t, r, Query{Image: text}) // a timeout is not remembered
}

func TestALookupThatWasGivenUpServesOthers(t *testing.T) {
	s, answer := hanging(t)
	text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/e"}))
	r := registries(t, Settings{}, s)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := r.Look(ctx, Query{Image: text})
		first <- err
	}()
	awaitRequest(t, s)
	cancel()
	var e *Error
	if err := <-first; !errors.As(err, &e) || e.Kind != Timeout || !strings.Contains(e.Cause, "canceled") {
		t.Errorf("have %v", err)
	}
	answer()
	mustLook(t, r, Query{Image: text})
}

func TestOneWithMoreTimeAsksAgain(t *testing.T) {
	s, answer := hanging(t)
	text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/e"}))
	r := registries(t, Settings{}, s)
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	both := make(chan error, 2)
	go func() {
		_, err := r.Look(short, Query{Image: text})
		both <- err
	}()
	awaitRequest(t, s)
	go func() {
		_, err := look(t, r, Query{Image: text})
		both <- err
	}()
	var e *Error
	if err := <-both; !errors.As(err, &e) || e.Kind != Timeout {
		t.Errorf("the first: %v", err)
	}
	answer()
	if err := <-both; err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestLRU(t *testing.T) {
	c := newLRU[string](8 * 10)
	for key := range strings.SplitSeq("abcdefgh", "") {
		c.put(key, key, 10)
	}
	c.get("a")
	c.put("i", "i", 10)
	c.put("c", "C", 5)
	c.put("large", "large", 11)
	have := ""
	for _, key := range []string{"a", "b", "c", "d", "i", "large"} {
		if v, ok := c.get(key); ok {
			have += v
		}
	}
	if have != "aCdi" || c.used != 75 || len(c.byKey) != 8 || c.order.Len() != 8 {
		t.Errorf("have %s, %d bytes in %d values", have, c.used, len(c.byKey))
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := serve(t, false)
	r := registries(t, Settings{}, s)
	r.answers = newLRU[answer](4096)
	for tag := range strings.SplitSeq("abcdefghijklmnopqrstuvwxyz", "") {
		refusal(t, r, Query{Image: s.host + "/app:" + tag})
	}
	if r.answers.used > 4096 || len(r.answers.byKey) == 0 {
		t.Errorf("%d bytes in %d answers", r.answers.used, len(r.answers.byKey))
	}
}

// A user who creates pods can cause lookups of many images at the same time, each
// with answers of the maximum size.
func TestOnlyAFewLookupsReadLargeAnswersAtOnce(t *testing.T) {
	s := serve(t, false)
	usual := s.push(t, "app:usual", built(t, "linux/amd64", []string{"/e"}))
	large := usual[:len(usual)-len("usual")] + "large"
	s.before = func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/manifests/large") {
			body := httptest.NewRecorder()
			r.URL.Path = strings.Replace(r.URL.Path, "large", "usual", 1)
			s.inner.ServeHTTP(body, r)
			w.Header().Set("Content-Type", body.Header().Get("Content-Type"))
			io.WriteString(w, body.Body.String()+strings.Repeat(" ", 2*usualAnswer))
		}
	}
	r := registries(t, Settings{}, s)
	for range heavyAtOnce {
		r.heavy <- struct{}{} // other lookups hold the slots
	}
	mustLook(t, r, Query{Image: usual})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var e *Error
	if facts, err := r.Look(ctx, Query{Image: large}); !errors.As(err, &e) || e.Kind != Timeout {
		t.Errorf("a large answer was read beside others: %v, %v", facts, err)
	}
	for range heavyAtOnce {
		<-r.heavy
	}
	if facts := mustLook(t, r, Query{Image: large}); names(facts) != "linux/amd64 /e" {
		t.Errorf("have %s", names(facts))
	}
	if len(r.heavy) != 0 {
		t.Error("a lookup that is over holds a slot")
	}
}

func TestAPanicIsAnError(t *testing.T) {
	if e := contained("reg.example", func() *Error { panic("boo") }); e == nil || e.Kind != Invalid || strings.Contains(e.Error(), "boo") {
		t.Errorf("have %v", e)
	}
}

func TestAnAnswerThatStopsHalfWay(t *testing.T) {
	for _, part := range []string{"/v2/", "/manifests/", "/blobs/"} {
		t.Run(part, func(t *testing.T) {
			s := serve(t, false)
			text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/e"}))
			over := make(chan struct{})
			t.Cleanup(func() { close(over) })
			s.before = func(w http.ResponseWriter, r *http.Request) {
				if part == "/v2/" && r.URL.Path != part || !strings.Contains(r.URL.Path, part) {
					return
				}
				w.WriteHeader(http.StatusOK)
				w.Write([]byte("{"))
				http.NewResponseController(w.(*answered).ResponseWriter).Flush()
				<-over
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := registries(t, Settings{}, s).Look(ctx, Query{Image: text})
			var e *Error
			if !errors.As(err, &e) || e.Kind != Timeout {
				t.Errorf("have %v", err)
			}
		})
	}
}

func TestLookupsWithOtherCredentialsAreNotShared(t *testing.T) {
	s, text := locked(t, false)
	var arrived sync.WaitGroup
	arrived.Add(2)
	s.before = func(_ http.ResponseWriter, r *http.Request) {
		if user, _, ok := r.BasicAuth(); ok && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") && user != "" {
			arrived.Done()
			arrived.Wait() // both are in progress
		}
	}
	r := registries(t, Settings{}, s)
	alice, bob := make(chan error, 1), make(chan error, 1)
	for user, answer := range map[string]chan error{"alice": alice, "bob": bob} {
		keys := keysFor(t, user, s.host, user, user[:1])
		go func() {
			_, err := look(t, r, Query{Image: text, Keys: keys})
			answer <- err
		}()
	}
	if err := <-alice; err != nil {
		t.Errorf("the one who may: %v", err)
	}
	var e *Error
	if err := <-bob; !errors.As(err, &e) || e.Kind != Unauthorized {
		t.Errorf("the one who may not: %v", err)
	}
}
