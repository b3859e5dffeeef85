package wrapper

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/spec"
)

// endpoint returns the facts about an endpoint. Once an endpoint has answered,
// it counts as answered for the rest of this incarnation.
func (k knowledge) endpoint(address string) lifecycle.Fact {
	if k.answered[address] {
		return lifecycle.Fact{Ready: true}
	}
	return lifecycle.Fact{Trouble: k.trouble[address]}
}

// byEndpoint adds the result of a container's ready endpoint to the facts from
// the pod's status.
func (k knowledge) byEndpoint(name string, f lifecycle.Fact) lifecycle.Fact {
	address, has := k.spec.ReadyEndpoints[name]
	switch {
	case !has:
	case k.answered[address]:
		f.Started, f.Ready = true, true
	case !f.Ready:
		f.Trouble = k.trouble[address]
	}
	return f
}

// leftToEndpoint reports whether the pod's status is not read for a container
// because its ready endpoint alone can report everything needed. If the
// endpoint stays silent for a while, the status is read after all.
func (k knowledge) leftToEndpoint(name string) bool {
	address, has := k.spec.ReadyEndpoints[name]
	if !has || k.late && !k.answered[address] {
		return false
	}
	other := func(d spec.Dependency) bool { return d.Container == name && d.Condition != spec.Ready }
	return !slices.ContainsFunc(slices.Concat(k.spec.StartDeps, k.spec.StopDeps), other)
}

// unanswered returns the endpoints that are needed and have not answered yet.
func (k knowledge) unanswered(names []string) []string {
	var all []string
	for _, name := range names {
		address, has := k.spec.ReadyEndpoints[name]
		if spec.IsEndpoint(name) {
			address, has = name, true
		}
		if has && !k.answered[address] {
			all = append(all, address)
		}
	}
	return all
}

// askEndpoints checks exactly the endpoints that are needed, and only while the
// command waits.
func (s *sources) askEndpoints(names []string, waits bool) {
	var needed []string
	if waits {
		needed = s.know.unanswered(names)
	}
	maps.DeleteFunc(s.asking, func(address string, stop context.CancelFunc) bool {
		if slices.Contains(needed, address) {
			return false
		}
		stop()
		return true
	})
	for _, address := range needed {
		if s.asking[address] == nil {
			ctx, stop := context.WithCancel(s.ctx)
			s.asking[address] = stop
			go s.askUntilAnswered(ctx, address)
		}
	}
}

// askUntilAnswered checks one endpoint until it answers, and reports the
// result.
func (s *sources) askUntilAnswered(ctx context.Context, address string) {
	pace := probe.Pace{Local: probe.IsLocal(address), Random: rand.Float64}
	ask := func(ctx context.Context) error { return s.ask(ctx, address) }
	if pace.Answered(ctx, ask, s.endpointTroubles(address)) != nil {
		return // no longer needed
	}
	s.learn(func(k *knowledge) {
		if k.answered == nil {
			k.answered = map[string]bool{}
		}
		k.answered[address] = true
	})
}

// endpointTroubles returns the function that takes the failures of one
// endpoint's checks. It reports each new reason, and logs a reason only if it
// lasts, and then rarely.
func (s *sources) endpointTroubles(address string) func(error) {
	began := time.Now()
	next := began.Add(troubleFirst)
	reported, logged := "", ""
	return func(err error) {
		reason, now := err.Error(), time.Now()
		if reason != logged && !now.Before(next) {
			logged, next = reason, now.Add(troubleAgain)
			s.log.Info("endpoint does not answer", event("not-answered"), "endpoint", address, "after", now.Sub(began).Round(time.Second), "error", reason)
		}
		if reason == reported {
			return
		}
		reported = reason
		s.learn(func(k *knowledge) {
			if k.trouble == nil {
				k.trouble = map[string]string{}
			}
			k.trouble[address] = reason
		})
	}
}
