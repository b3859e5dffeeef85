package explore

import "slices"

// nobody is the index that stands for no container.
const nobody = -1

// graph contains every state that a pod can reach, ordered by the least number
// of steps.
type graph struct {
	model   *model
	lasting int // the container whose command does not exit by itself
	visits  []visit
	edges   [][2]int32
}

// visit is a state that a pod can reach.
type visit struct {
	state
	from int32 // the previous state on a shortest path
	exit Exit  // the exit that led from that state to this one
}

// usual is enough for the states of a pod with two containers, for example a Job
// with a sidecar. Lists and maps grow beyond it.
const usual = 28

// explore follows every run of a pod. left is the number of states that may
// still be visited. ok is false if that was not enough.
func (m *model) explore(lasting int, prompt bool, left *int) (g *graph, ok bool) {
	g = &graph{model: m, lasting: lasting, visits: make([]visit, 0, usual), edges: make([][2]int32, 0, 2*usual)}
	g.visits = append(g.visits, visit{from: nobody})
	seen := make(map[state]int32, usual)
	seen[0] = 0
	list := make([]step, 0, 2*len(m.containers))
	for at := 0; at < len(g.visits); at++ {
		if *left--; *left < 0 {
			return nil, false
		}
		list = m.steps(g.visits[at].state, lasting, prompt, list[:0])
		for _, next := range list {
			to, known := seen[next.to]
			if !known {
				to = int32(len(g.visits))
				seen[next.to] = to
				g.visits = append(g.visits, visit{next.to, int32(at), next.exit})
			}
			g.edges = append(g.edges, [2]int32{int32(at), to})
		}
	}
	return g, true
}

// ever reports whether a container reaches a phase. Running and ready count as
// the same phase, and so do all phases in which the container is gone.
func (g *graph) ever(i int, p phase) bool {
	for _, v := range g.visits {
		if now := v.of(i); p.runs() && now.runs() || p.gone() && now.gone() {
			return true
		}
	}
	return false
}

// Offsets of the bits for a container's possible futures.
const (
	runsBits = 16 // one bit per container
	goneBits = 0
)

// futures returns for each state which containers run, or are kept from running
// by a stop dependency, and which are gone, either in that state or in a later
// one. A container that fails repeatedly counts as both for all containers,
// because users notice it.
func (g *graph) futures() []uint32 {
	can := make([]uint32, len(g.visits))
	for at, v := range g.visits {
		s := v.state
		lost := g.model.isLost(s)
		for i := range g.model.containers {
			switch p := s.of(i); {
			case p.gone(), lost:
				can[at] |= 1<<(goneBits+i) | 1<<(runsBits+i)
			case p.runs(), g.model.containers[i].stopHolds(s):
				can[at] |= 1 << (runsBits + i)
			}
		}
	}
	for changed := true; changed; {
		changed = false
		for _, e := range slices.Backward(g.edges) { // most lead to later states
			if more := can[e[0]] | can[e[1]]; more != can[e[0]] {
				can[e[0]], changed = more, true
			}
		}
	}
	return can
}

// hangs records, for each container without a hang so far, a shortest run after
// which it hangs.
func (g *graph) hangs(found []*Hang) {
	can := g.futures()
	for at, v := range g.visits {
		s := v.state
		for i := range g.model.containers {
			if found[i] != nil || !g.hung(s, can[at], i) {
				continue
			}
			c := &g.model.containers[i]
			found[i] = &Hang{Container: c.name, Waits: s.of(i).waits() && !c.stopHolds(s), Exits: g.way(at)}
			if g.lasting != nobody {
				found[i].Forever = g.model.containers[g.lasting].name
			}
		}
	}
}

// hung reports whether a container has no future. If a command lasts that other
// containers stop, only its transitive dependencies count, and only while they
// wait.
func (g *graph) hung(s state, can uint32, i int) bool {
	c, p := &g.model.containers[i], s.of(i)
	starts, ends := can>>(runsBits+i)&1 == 1, can>>(goneBits+i)&1 == 1
	switch {
	case p.gone(), c.timeout:
		return false
	case g.lasting != nobody:
		return i != g.lasting && p.waits() && !starts && g.model.reaches(g.lasting, i)
	default:
		return c.canEnd() && !ends || p.waits() && !starts
	}
}

// reaches reports whether one container depends on another, directly or through
// others.
func (m *model) reaches(from, to int) bool {
	seen := uint32(1) << from
	for queue := []int{from}; len(queue) > 0; queue = queue[1:] {
		for _, next := range m.containers[queue[0]].needs {
			if next == to {
				return true
			}
			if seen&(1<<next) == 0 {
				seen |= 1 << next
				queue = append(queue, next)
			}
		}
	}
	return false
}

// way returns the exits on a shortest path to a state.
func (g *graph) way(at int) []Exit {
	if at == 0 {
		return nil
	}
	before := g.way(int(g.visits[at].from))
	if exit := g.visits[at].exit; exit.Container != "" {
		before = append(before, exit)
	}
	return before
}
