package explore

// nobody is the index of a container that is none.
const nobody = -1

// graph is every state that a pod can come to, in the order of the fewest steps.
type graph struct {
	model   *model
	lasting int // the container whose command does not exit by itself
	states  []state
	from    []int32 // the state before, on a shortest way
	exits   []Exit  // by which it came from there
	edges   [][2]int32
}

// explore follows every run of a pod. left is how many states may still be
// looked at; it is not ok when that was too few.
func (m *model) explore(lasting int, prompt bool, left *int) (g *graph, ok bool) {
	g = &graph{model: m, lasting: lasting, states: []state{0}, from: []int32{nobody}, exits: []Exit{{}}}
	seen := make(map[state]int32, 64)
	seen[0] = 0
	var list []step
	for at := 0; at < len(g.states); at++ {
		if *left--; *left < 0 {
			return nil, false
		}
		list = m.steps(g.states[at], lasting, prompt, list[:0])
		for _, next := range list {
			to, known := seen[next.to]
			if !known {
				to = int32(len(g.states))
				seen[next.to] = to
				g.states, g.from, g.exits = append(g.states, next.to), append(g.from, int32(at)), append(g.exits, next.exit)
			}
			g.edges = append(g.edges, [2]int32{int32(at), to})
		}
	}
	return g, true
}

// ever reports whether a container comes to a phase: to run, ready or not, or
// to be gone, however.
func (g *graph) ever(i int, p phase) bool {
	for _, s := range g.states {
		if now := s.of(i); p.runs() && now.runs() || p.gone() && now.gone() {
			return true
		}
	}
	return false
}

// Bits of what can still become of a container.
const (
	runsBits = 16 // a bit for each container
	goneBits = 0
)

// futures says for each state which containers run, or are kept from it by a stop
// dependency, and which are gone in it or in one that can follow. A container
// that fails again and again counts for all: that is seen.
func (g *graph) futures() []uint32 {
	can := make([]uint32, len(g.states))
	for at, s := range g.states {
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
		for i := len(g.edges) - 1; i >= 0; i-- { // most lead to later states
			e := g.edges[i]
			if more := can[e[0]] | can[e[1]]; more != can[e[0]] {
				can[e[0]], changed = more, true
			}
		}
	}
	return can
}

// hangs notes for each container that has none yet a shortest run after which
// it hangs.
func (g *graph) hangs(found []*Hang) {
	can := g.futures()
	for at, s := range g.states {
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

// hung reports whether a container has no future. Where a command lasts that
// others stop, only those count that it waits for through any of them.
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

// reaches reports whether a container depends on another, if only through
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

// way is what exited on a shortest way to a state.
func (g *graph) way(at int) []Exit {
	if at == 0 {
		return nil
	}
	before := g.way(int(g.from[at]))
	if g.exits[at].Container != "" {
		before = append(before, g.exits[at])
	}
	return before
}
