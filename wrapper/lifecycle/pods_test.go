package lifecycle

import (
	"math/rand/v2"
	"slices"
	"strings"

	"koordinator.io/koordinator/wrapper/spec"
)

// complete sets every container's HoldFor from the dependencies of all
// containers.
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

// admitted reports whether the rules for pods admit these specs.
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

// contradicts reports whether an exit that must come before a container's start
// would also stop that container or one that it needs, or whether the exiting
// container has a stop dependency on it.
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

// twoContainers returns every admitted pod of two containers, except pods that
// differ only in names: each start and stop condition between the two, and each
// restart policy.
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

// restartingPods returns pods of two containers in which one restarts with the
// other: some start dependencies between the two, with and without a stop
// dependency, and both restart policies that start a container again.
func restartingPods() [][]spec.Spec {
	var pods [][]spec.Spec
	for _, policy := range []string{spec.RestartOnFailure, spec.RestartAlways} {
		for _, text := range []string{"", "a after b started", "a after b ready", "b after a started"} {
			for _, stops := range []bool{false, true} {
				specs := []spec.Spec{plain("a", policy), plain("b", policy)}
				specs[0].RestartWith = []string{"b"}
				switch text {
				case "a after b started":
					specs[0].StartDeps = []spec.Dependency{{Container: "b", Condition: spec.Started}}
				case "a after b ready":
					specs[0].StartDeps = []spec.Dependency{{Container: "b", Condition: spec.Ready}}
				case "b after a started":
					specs[1].StartDeps = []spec.Dependency{{Container: "a", Condition: spec.Started}}
				}
				if stops {
					specs[0].StopDeps = []spec.Dependency{{Container: "b", Condition: spec.Exited}}
				}
				complete(specs)
				if admitted(specs) {
					pods = append(pods, specs)
				}
			}
		}
	}
	return pods
}

// plain returns a spec without dependencies.
func plain(name, policy string) spec.Spec {
	s := spec.Default()
	s.Container, s.Restart.Policy = name, policy
	s.GracePeriod = 30e9
	s.StoppedExitCode, s.KilledExitCode = 0, 12
	return s
}

// describe returns the specs of a pod, one per line.
func describe(specs []spec.Spec) string {
	var lines []string
	for i, s := range specs {
		lines = append(lines, containerName(i)+" "+s.Encode())
	}
	return strings.Join(lines, "\n")
}

// randomPod returns an admitted pod of three or four containers.
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
			if j := r.IntN(4 * len(specs)); j < i && specs[i].Mode != spec.ExecMode && !specs[i].Restart.ForGood(spec.ExitRestart) {
				specs[i].RestartWith = []string{containerName(j)} // with an earlier one, to avoid cycles
			}
		}
		return specs
	}
}

// decorate adds options that do not affect whether a pod is admitted.
func decorate(r *rand.Rand, s *spec.Spec) {
	free := len(s.StopDeps)+len(s.HoldFor) == 0
	for _, o := range supervised()[5:] {
		if w := o.ways[r.IntN(len(o.ways))]; o.name != "restart" && o.name != "request" && r.IntN(3) == 0 {
			free = free && (o.name == "timeout" || o.name == "codes" || o.name == "envFiles")
			w.set(s)
		}
	}
	if free && r.IntN(2) == 0 {
		s.Mode = spec.ExecMode
	}
}
