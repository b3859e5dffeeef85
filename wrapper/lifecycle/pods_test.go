package lifecycle

import (
	"math/rand/v2"
	"slices"
	"strings"

	"koordinator.io/koordinator/wrapper/spec"
)

// complete gives every container the holds that follow from all of them.
func complete(specs []spec.Spec) {
	g := spec.HoldGraph(byName(specs))
	for i := range specs {
		specs[i].HoldFor = g[containerName(i)]
	}
}

func byName(specs []spec.Spec) map[string]spec.Spec {
	m := map[string]spec.Spec{}
	for i, s := range specs {
		m[containerName(i)] = s
	}
	return m
}

// admitted tells whether the rules for pods let these specs in.
func admitted(specs []spec.Spec) bool {
	all := byName(specs)
	if len(spec.StartGraph(all).Cycles())+len(spec.HoldGraph(all).Cycles()) > 0 {
		return false
	}
	for name, s := range all {
		for _, d := range s.StartDeps {
			forGood := d.Condition == spec.Exited || d.Condition == spec.Succeeded
			if forGood && all[d.Container].Restart.Policy == spec.RestartAlways {
				return false
			}
		}
		for _, exit := range spec.ExitsBefore(all, name) {
			if contradicts(all, name, exit) {
				return false
			}
		}
	}
	return true
}

// contradicts tells whether an exit that has to come before a container's start
// would stop it, or what it needs, or waits for it.
func contradicts(all map[string]spec.Spec, name string, exit spec.Exit) bool {
	stopped := func(s spec.Spec) bool {
		return slices.ContainsFunc(s.StopDeps, func(d spec.Dependency) bool {
			return d.Container == exit.Container && exit.Condition.Implies(d.Condition)
		})
	}
	needs := slices.ContainsFunc(all[name].StartDeps, func(d spec.Dependency) bool {
		return d.Condition == spec.Ready && !d.Optional && stopped(all[d.Container])
	})
	waits := slices.ContainsFunc(all[exit.Container].StopDeps, func(d spec.Dependency) bool { return d.Container == name })
	return stopped(all[name]) || needs || waits
}

// twoContainers is every pod of two containers that is let in, but for those
// that differ in names only: each start and stop condition between the two, and
// each restart policy.
func twoContainers() [][]spec.Spec {
	var pods [][]spec.Spec
	for start, a := range startWays("b") {
		for aStop, b := range stopWays("b") {
			for bStop, c := range stopWays("a") {
				for _, policy := range []string{spec.RestartNever, spec.RestartOnFailure, spec.RestartAlways} {
					specs := []spec.Spec{plain("a", policy), plain("b", policy)}
					a.set(&specs[0])
					b.set(&specs[0])
					c.set(&specs[1])
					complete(specs)
					mirrored := start == 0 && aStop > bStop
					if !mirrored && admitted(specs) {
						pods = append(pods, specs)
					}
				}
			}
		}
	}
	return pods
}

// plain is a spec without dependencies.
func plain(name, policy string) spec.Spec {
	s := spec.Default()
	s.Container, s.Restart.Policy = name, policy
	s.GracePeriod = 30e9
	s.StoppedExitCode, s.KilledExitCode = 0, 12
	return s
}

// describe writes the specs of a pod, one on a line.
func describe(specs []spec.Spec) string {
	var lines []string
	for i, s := range specs {
		lines = append(lines, containerName(i)+" "+s.Encode())
	}
	return strings.Join(lines, "\n")
}

// randomPod is a pod of three or four containers that is let in.
func randomPod(r *rand.Rand) []spec.Spec {
	policies := []string{spec.RestartNever, spec.RestartNever, spec.RestartOnFailure, spec.RestartAlways}
	for {
		policy := policies[r.IntN(len(policies))]
		specs := make([]spec.Spec, 3+r.IntN(2))
		for i := range specs {
			specs[i] = plain(containerName(i), policy)
			if r.IntN(8) == 0 {
				specs[i].Restart.Policy = policies[r.IntN(len(policies))]
			}
			for j := range specs {
				if i != j && r.IntN(3) == 0 {
					ways := startWays(containerName(j))
					ways[r.IntN(len(ways))].set(&specs[i])
				}
				if i != j && r.IntN(4) == 0 {
					ways := stopWays(containerName(j))
					ways[r.IntN(len(ways))].set(&specs[i])
				}
			}
		}
		complete(specs)
		if !admitted(specs) {
			continue
		}
		for i := range specs {
			decorate(r, &specs[i])
		}
		return specs
	}
}

// decorate adds what does not change which pods are let in.
func decorate(r *rand.Rand, s *spec.Spec) {
	free := len(s.StopDeps)+len(s.HoldFor) == 0
	for _, o := range supervised()[5:] {
		if w := o.ways[r.IntN(len(o.ways))]; o.name != "restart" && o.name != "request" && r.IntN(3) == 0 {
			free = free && (o.name == "timeout" || o.name == "codes")
			w.set(s)
		}
	}
	if free && r.IntN(2) == 0 {
		s.Mode = spec.ExecMode
	}
}
