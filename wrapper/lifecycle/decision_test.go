package lifecycle

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"koordinator.io/koordinator/wrapper/explore"
	"koordinator.io/koordinator/wrapper/spec"
)

// decided contains every state of a pod of real machines. Facts are known
// immediately, the kubelet starts the containers in any order and restarts them
// according to their restart policies, and the pod is never stopped.
type decided struct {
	pods  []*pod
	next  [][]int
	index map[decidedKey]int
}

// decidedKey identifies a state of such a pod by its containers, since nothing
// else differs.
type decidedKey [mostOrdered]containerKey

// mostOrdered is the maximum number of containers of such a pod.
const mostOrdered = 3

// mostDecided is the maximum number of states of a pod that are visited.
const mostDecided = 60000

// decide follows every run. ok is false if there are too many states.
func decide(specs []spec.Spec) (d *decided, ok bool, err error) {
	p := pod{c: make([]container, len(specs))}
	for i := range specs {
		p.c[i].spec = &specs[i]
	}
	d = &decided{index: map[decidedKey]int{}}
	d.add(&p)
	for at := 0; at < len(d.pods); at++ {
		if len(d.pods) > mostDecided {
			return nil, false, nil
		}
		for _, m := range d.pods[at].events() {
			q := d.pods[at].keep()
			if err := errors.Join(q.happen(m), q.inform()); err != nil {
				return nil, false, fmt.Errorf("%+v: %w", m, err)
			}
			d.next[at] = append(d.next[at], d.add(q))
		}
	}
	return d, true, nil
}

// add returns the index of a pod, and adds the pod if it is new.
func (d *decided) add(p *pod) int {
	var key decidedKey
	for i := range p.c {
		key[i] = p.c[i].key()
	}
	at, known := d.index[key]
	if !known {
		at = len(d.pods)
		d.index[key] = at
		d.pods, d.next = append(d.pods, p), append(d.next, nil)
	}
	return at
}

// events returns the events that can come next: starts by the kubelet, ends of
// commands, readiness, answers and timers. If a prompt answer is due, nothing
// else can come first.
func (p *pod) events() []move {
	if prompt := p.answers(); prompt != nil {
		return prompt
	}
	var list []move
	for i := range p.c {
		c, who := &p.c[i], containerName(i)
		if !c.alive && !c.gone {
			list = append(list, move{what: "begin", who: who})
			continue
		}
		for _, e := range c.run.due() {
			list = append(list, move{"due", who, "", e})
		}
		for _, e := range c.run.ends() {
			if _, survives := e.(Unkillable); c.alive && !survives {
				list = append(list, move{"ends", who, "", e})
			}
		}
		if c.runs() && !c.ready {
			list = append(list, move{what: "ready", who: who})
		}
	}
	return list
}

// happen makes a move. A container begins with all facts.
func (p *pod) happen(m move) error {
	if m.what != "begin" {
		return p.do(m)
	}
	i := int(m.who[0] - 'a')
	c := &p.c[i]
	c.alive, c.noted, c.asked, c.views = true, false, false, [most]view{}
	c.run = run{machine: *New(*c.spec, false)}
	for j := range p.c {
		if j != i && named(c.spec, containerName(j)) {
			c.views[j] = p.news(i, j)
		}
	}
	return errors.Join(c.run.take(Begin{p.facts(i)}), p.follow(i, run{}))
}

// inform delivers the state of all containers to each other at the same time,
// repeatedly, until nothing new is left.
func (p *pod) inform() error {
	for {
		var learners []int
		for i := range p.c {
			for j := range p.c {
				if p.c[i].alive && p.late(i, j) && !slices.Contains(learners, i) {
					learners = append(learners, i)
				}
			}
		}
		if len(learners) == 0 {
			return nil
		}
		for _, i := range learners {
			for j := range p.c {
				p.c[i].views[j] = p.news(i, j)
			}
		}
		for _, i := range learners {
			before := p.c[i].run
			p.c[i].run = before.clone()
			if err := errors.Join(p.c[i].run.take(p.facts(i)), p.follow(i, before)); err != nil {
				return err
			}
		}
	}
}

// futures returns for each state whether the predicate holds in that state or a
// later one. It also counts as true if a container fails repeatedly, because
// users notice that.
func (d *decided) futures(is func(p *pod) bool) []bool {
	can := make([]bool, len(d.pods))
	for at, p := range d.pods {
		can[at] = is(p) || p.lost()
	}
	for changed := true; changed; {
		changed = false
		for at := len(can) - 1; at >= 0; at-- {
			if !can[at] && slices.ContainsFunc(d.next[at], func(to int) bool { return can[to] }) {
				can[at], changed = true, true
			}
		}
	}
	return can
}

// lost reports whether a waiting container fails repeatedly.
func (p *pod) lost() bool {
	for i := range p.c {
		if c, code := &p.c[i], p.refuses(i).Code; !c.gone && !c.runs() && code == spec.ExitUnsatisfiable && !c.spec.Restart.ForGood(code) {
			return true
		}
	}
	return false
}

// refuses returns the exit of a container that would begin now, or the zero
// Exit if it would not end immediately.
func (p *pod) refuses(i int) Exit {
	m := New(*p.c[i].spec, false)
	m.Handle(Begin{p.truths(i)})
	return m.Report().Exit
}

// truths returns the facts for a container that would begin now.
func (p *pod) truths(i int) Facts {
	f := Facts{}
	for j := range p.c {
		if v := p.truth(j); named(p.c[i].spec, containerName(j)) {
			f[containerName(j)] = Fact{Started: v.started, Ready: v.ready, Exited: v.exited, Code: int(v.code), Stopped: v.unsuccessful}
		}
	}
	return f
}

// verdict returns what can happen to a container across all these states.
func (d *decided) verdict(i int) (starts, ends, hangs bool) {
	gone := d.futures(func(p *pod) bool { return p.c[i].gone })
	runs := d.futures(func(p *pod) bool { return p.c[i].gone || p.c[i].runs() || p.refuses(i).Stopped })
	spec := d.pods[0].c[i].spec
	canEnd := false
	for code := range 256 {
		canEnd = canEnd || spec.Restart.ForGood(code)
	}
	for at, p := range d.pods {
		c := &p.c[i]
		starts = starts || c.runs()
		ends = ends || c.gone || !canEnd
		waits := !c.gone && !c.runs()
		hangs = hangs || !c.gone && spec.StartTimeout == 0 && (canEnd && !gone[at] || waits && !runs[at])
	}
	return starts, ends, hangs
}

// orderedPod returns a pod of two or three containers with random dependencies.
func orderedPod(r *rand.Rand) []spec.Spec {
	policies := []string{spec.RestartNever, spec.RestartOnFailure, spec.RestartOnFailure, spec.RestartAlways}
	policy := policies[r.IntN(len(policies))]
	specs := make([]spec.Spec, 2+r.IntN(mostOrdered-1))
	for i := range specs {
		s := plain(containerName(i), policy)
		if r.IntN(6) == 0 {
			s.Restart.Policy = policies[r.IntN(len(policies))]
		}
		s.StoppedExitCode = []spec.ExitCode{0, 0, spec.Child, 5}[r.IntN(4)]
		s.KilledExitCode = []spec.ExitCode{0, spec.Child}[r.IntN(2)]
		s.StopWhen = []spec.StopWhen{spec.StopAny, spec.StopAll}[r.IntN(2)]
		if r.IntN(6) == 0 {
			s.StartTimeout = 1
			s.OnStartTimeout = []spec.OnTimeout{spec.TimeoutFail, spec.TimeoutStart}[r.IntN(2)]
		}
		for j := range specs {
			if i != j && r.IntN(2) == 0 {
				ways := startWays(containerName(j))
				ways[r.IntN(len(ways))].set(&s)
			}
			if i != j && r.IntN(3) == 0 {
				ways := stopWays(containerName(j))
				ways[r.IntN(len(ways))].set(&s)
			}
		}
		specs[i] = s
	}
	return specs
}

// agree compares the prediction of package explore for a pod with the behavior
// of the machines.
func agree(specs []spec.Spec) (compared bool, err error) {
	d, ok, err := decide(specs)
	if err != nil || !ok {
		return false, err
	}
	have, ok := explore.Pod(specs)
	if !ok {
		return false, errors.New("explore gives up")
	}
	for i := range specs {
		name := containerName(i)
		starts, ends, hangs := d.verdict(i)
		hang := slices.IndexFunc(have.Hangs, func(h explore.Hang) bool { return h.Container == name && h.Forever == "" })
		if starts != have.Starts[name] || ends != have.Ends[name] || hangs != (hang >= 0) {
			return true, fmt.Errorf("%s starts %v, ends %v, hangs %v; explore says %v, %v, %v", name, starts, ends, hangs, have.Starts[name], have.Ends[name], hang >= 0)
		}
	}
	return true, nil
}

func TestB4TheDecisionIsThatOfTheRealMachines(t *testing.T) {
	var compared atomic.Int64
	each(t, 120, func(seed int) {
		specs := orderedPod(rand.New(rand.NewPCG(uint64(seed), 4)))
		one, err := agree(specs)
		if err != nil {
			t.Errorf("pod %d\n%s\n%v", seed, describe(specs), err)
		}
		if one {
			compared.Add(1)
		}
	})
	if n := compared.Load(); n < 60 && !t.Failed() {
		t.Errorf("only %d pods are small enough to compare", n)
	}
}
