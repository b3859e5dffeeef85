package probe

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

// Handlers that tests can distinguish.
var (
	web80  = spec.Handler{HTTP: &spec.HTTPGet{Port: 80}}
	web81  = spec.Handler{HTTP: &spec.HTTPGet{Port: 81}}
	script = spec.Handler{Exec: &spec.Exec{Command: []string{"up"}}}
)

var errNotYet = errors.New("not yet")

// outcome is the scripted behavior of one try: its duration and its result.
type outcome struct {
	takes  time.Duration
	passes bool
}

// asked is an observed try, in milliseconds from the start.
type asked struct {
	At    int
	Of    spec.Handler
	Limit int // its deadline, from the try's start
}

// scripted is a check whose tries behave as listed, and pass after that.
type scripted struct {
	start    time.Time
	outcomes []outcome
	tries    []asked
	failures int
}

func (s *scripted) check(ctx context.Context, h spec.Handler) error {
	end, _ := ctx.Deadline()
	s.tries = append(s.tries, asked{ms(time.Since(s.start)), h, ms(time.Until(end))})
	next := outcome{passes: true}
	if len(s.outcomes) > 0 {
		next, s.outcomes = s.outcomes[0], s.outcomes[1:]
	}
	time.Sleep(next.takes)
	if next.passes {
		return nil
	}
	return errNotYet
}

// failed counts a failure; there is one for each try that does not pass.
func (s *scripted) failed(err error) {
	if err != nil {
		s.failures++
	}
}

func ms(d time.Duration) int { return int(d.Milliseconds()) }

func (s *scripted) times() []int {
	var all []int
	for _, a := range s.tries {
		all = append(all, a.At)
	}
	return all
}

func TestPassed(t *testing.T) {
	const second, fail, pass = time.Second, false, true
	for _, tt := range []struct {
		name     string
		probes   []spec.Probe
		earlier  time.Duration // how long before the call the command started
		outcomes []outcome
		want     []int // the times of the tries
		end      int   // the time at which all have passed
	}{
		{name: "no probes have passed"},
		{name: "the first try comes at once", probes: []spec.Probe{{Handler: web80}}, want: []int{0}},
		{
			name: "the network is asked again after 5 ms", probes: []spec.Probe{{Handler: web80}},
			outcomes: []outcome{{0, fail}, {0, fail}, {0, fail}}, want: []int{0, 5, 10, 15}, end: 15,
		},
		{
			name: "and more seldom the longer it fails, down to every 50 ms", probes: []spec.Probe{{Handler: web80, TimeoutSeconds: 9}},
			outcomes: []outcome{{50 * time.Millisecond, fail}, {0, fail}, {0, fail}, {200 * time.Millisecond, fail}, {0, fail}, {0, fail}},
			want:     []int{0, 250, 262, 275, 1275, 1325, 1375}, end: 1375,
		},
		{
			name: "a command is run again after 250 ms", probes: []spec.Probe{{Handler: script}},
			outcomes: []outcome{{0, fail}, {0, fail}}, want: []int{0, 250, 500}, end: 500,
		},
		{
			name: "an expensive try is followed by four times its cost", probes: []spec.Probe{{Handler: web80, TimeoutSeconds: 9}},
			outcomes: []outcome{{100 * time.Millisecond, fail}, {second, fail}, {10 * time.Millisecond, fail}, {20 * time.Millisecond, pass}},
			want:     []int{0, 500, 5500, 5560}, end: 5580,
		},
		{
			name: "a pause is never longer than 10 s", probes: []spec.Probe{{Handler: script, TimeoutSeconds: 60}},
			outcomes: []outcome{{7 * second, fail}}, want: []int{0, 17000}, end: 17000,
		},
		{
			name: "a try that passes too late has failed", probes: []spec.Probe{{Handler: web80}},
			outcomes: []outcome{{1100 * time.Millisecond, pass}}, want: []int{0, 5500}, end: 5500,
		},
		{
			name:   "kube-probe-08 no try before the initial delay is over",
			probes: []spec.Probe{{Handler: web80, InitialDelaySeconds: 10}}, want: []int{10000}, end: 10000,
		},
		{
			name:   "kube-probe-08 the initial delay counts from the command's start",
			probes: []spec.Probe{{Handler: web80, InitialDelaySeconds: 10}}, earlier: 4 * second, want: []int{6000}, end: 6000,
		},
		{
			name:   "kube-probe-08 an initial delay that is over",
			probes: []spec.Probe{{Handler: web80, InitialDelaySeconds: 10}}, earlier: 11 * second, want: []int{0},
		},
		{
			name: "kube-probe-10 two successes of three are not enough", probes: []spec.Probe{{Handler: web80, SuccessThreshold: 3}},
			outcomes: []outcome{{0, pass}, {0, pass}, {0, pass}}, want: []int{0, 50, 100}, end: 100,
		},
		{
			name: "kube-probe-10 one failure resets the run", probes: []spec.Probe{{Handler: web80, SuccessThreshold: 3}},
			outcomes: []outcome{{0, pass}, {0, pass}, {0, fail}}, want: []int{0, 50, 100, 105, 155, 205}, end: 205,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{start: time.Now(), outcomes: tt.outcomes}
				if err := Passed(t.Context(), tt.probes, s.start.Add(-tt.earlier), s.check, s.failed); err != nil {
					t.Error(err)
				}
				if end := ms(time.Since(s.start)); end != tt.end {
					t.Errorf("passed after %d ms, want %d", end, tt.end)
				}
				if diff := cmp.Diff(tt.want, s.times()); diff != "" {
					t.Errorf("tries (-want +have):\n%s", diff)
				}
				passes := 0
				for _, p := range tt.probes {
					passes += p.Successes()
				}
				if late := len(s.tries) - passes; s.failures > len(s.tries) || s.failures < late-passes {
					t.Errorf("B15 %d failures reported of %d tries", s.failures, len(s.tries))
				}
			})
		})
	}
}

func TestPassedOneProbeAfterAnother(t *testing.T) {
	for _, tt := range []struct {
		name  string
		delay int // of the second probe, in seconds
		want  []asked
	}{
		{
			name: "kube-probe-11 a startup probe that has passed is not asked again",
			want: []asked{{0, web80, 1000}, {5, web80, 1000}, {5, web81, 3000}, {10, web81, 3000}},
		},
		{
			name: "kube-probe-08 the second has its own delay from the start", delay: 2,
			want: []asked{{0, web80, 1000}, {5, web80, 1000}, {2000, web81, 3000}, {2005, web81, 3000}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{start: time.Now(), outcomes: []outcome{{}, {passes: true}, {}}}
				probes := []spec.Probe{{Handler: web80}, {Handler: web81, TimeoutSeconds: 3, InitialDelaySeconds: tt.delay}}
				if err := Passed(t.Context(), probes, s.start, s.check, s.failed); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(tt.want, s.tries); diff != "" {
					t.Errorf("tries (-want +have):\n%s", diff)
				}
			})
		})
	}
}

// TestPassedEnds ends the context at every point in Passed. The synctest bubble
// would not end if a goroutine remained.
func TestPassedEnds(t *testing.T) {
	never := func(ctx context.Context, _ spec.Handler) error {
		<-ctx.Done()
		return errNotYet
	}
	always := func(context.Context, spec.Handler) error { return nil }
	for _, tt := range []struct {
		name  string
		probe spec.Probe
		check func(context.Context, spec.Handler) error
		after time.Duration
	}{
		{name: "before the first try", probe: spec.Probe{Handler: web80}, check: always},
		{name: "in the initial delay", probe: spec.Probe{Handler: web80, InitialDelaySeconds: 9}, check: always, after: time.Second},
		{name: "in a try", probe: spec.Probe{Handler: web80, TimeoutSeconds: 9}, check: never, after: time.Second},
		{name: "between two tries", probe: spec.Probe{Handler: script, SuccessThreshold: 9}, check: always, after: 300 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.after)
				defer cancel()
				began := time.Now()
				err := Passed(ctx, slices.Repeat([]spec.Probe{tt.probe}, 2), began, tt.check, func(error) {})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want that of the context", err)
				}
				if took := time.Since(began); took != tt.after {
					t.Errorf("ended after %v, want %v", took, tt.after)
				}
			})
		})
	}
}
