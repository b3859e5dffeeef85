package lifecycle

import (
	"math/rand/v2"
	"strings"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// option is one setting of a spec, with its possible values.
type option struct {
	name string
	ways []way
}

// way is one value of an option.
type way struct {
	name string
	set  func(*spec.Spec)
}

// startWays returns the possible start dependencies on one container.
func startWays(name string) []way {
	ways := []way{{"none", func(*spec.Spec) {}}}
	for _, c := range []spec.Condition{spec.Started, spec.Ready, spec.Exited, spec.Succeeded} {
		for _, optional := range []bool{false, true} {
			d := spec.Dependency{Container: name, Condition: c, Optional: optional}
			ways = append(ways, way{d.String(), func(s *spec.Spec) { s.StartDeps = append(s.StartDeps, d) }})
		}
	}
	return ways
}

// endpointWays returns the possible endpoints. A container's facts stand for
// the endpoint's.
func endpointWays(name string, optional ...bool) []way {
	var ways []way
	for _, optional := range optional {
		e := spec.Endpoint{URL: name, Optional: optional}
		ways = append(ways, way{"endpoint " + e.String(), func(s *spec.Spec) { s.StartEndpoints = append(s.StartEndpoints, e) }})
	}
	return ways
}

// stopWays returns the possible stop dependencies on one container.
func stopWays(name string) []way {
	ways := []way{{"none", func(*spec.Spec) {}}}
	for _, c := range []spec.Condition{spec.Exited, spec.Succeeded, spec.Failed} {
		d := spec.Dependency{Container: name, Condition: c}
		ways = append(ways, way{d.String(), func(s *spec.Spec) { s.StopDeps = append(s.StopDeps, d) }})
	}
	return ways
}

// isSet returns an option that is either set or not.
func isSet(name string, set func(*spec.Spec)) option {
	return option{name, []way{{"no", func(*spec.Spec) {}}, {"yes", set}}}
}

// holdOption returns the option for the containers to hold for.
func holdOption(sets ...[]string) option {
	o := option{name: "hold"}
	for _, names := range sets {
		o.ways = append(o.ways, way{strings.Join(names, "+"), func(s *spec.Spec) { s.HoldFor = names }})
	}
	return o
}

// restartOption returns the option with every restart policy.
func restartOption() option {
	o := option{name: "restart"}
	for _, policy := range []string{"", spec.RestartNever, spec.RestartOnFailure, spec.RestartAlways} {
		o.ways = append(o.ways, way{policy, func(s *spec.Spec) { s.Restart.Policy = policy }})
	}
	return o
}

// timeoutOption returns the option with every kind of start timeout.
func timeoutOption() option {
	return option{"timeout", []way{
		{"none", func(*spec.Spec) {}},
		{"fail", func(s *spec.Spec) { s.StartTimeout = time.Second }},
		{"start", func(s *spec.Spec) { s.StartTimeout, s.OnStartTimeout = time.Second, spec.TimeoutStart }},
	}}
}

// filesOption returns the option for an env file.
func filesOption() option {
	return isSet("envFiles", func(s *spec.Spec) { s.EnvFiles = make([]spec.EnvFile, 1) })
}

// supervised returns the options of a supervised command.
func supervised() []option {
	return []option{
		{"start p", startWays("p")},
		{"start q", append(startWays("q"), endpointWays("q", false)...)},
		{"stop p", stopWays("p")},
		{"stop q", stopWays("q")},
		holdOption(nil, []string{"p"}, []string{"q"}, []string{"p", "q"}),
		timeoutOption(),
		restartOption(),
		{"request", []way{
			{"unknown", func(*spec.Spec) {}},
			{"TERM", func(s *spec.Spec) { s.RequestSignal = 15 }},
			{"USR1", func(s *spec.Spec) { s.RequestSignal = 10 }},
		}},
		{"codes", []way{
			{"ours", func(*spec.Spec) {}},
			{"child", func(s *spec.Spec) { s.StoppedExitCode, s.KilledExitCode = spec.Child, spec.Child }},
		}},
		isSet("stopWhen all", func(s *spec.Spec) { s.StopWhen = spec.StopAll }),
		filesOption(),
		isSet("stopDelay", func(s *spec.Spec) { s.StopDelay = time.Second }),
		isSet("preStop", func(s *spec.Spec) { s.PreStop = &spec.Handler{} }),
		isSet("postStart", func(s *spec.Spec) { s.PostStart = &spec.Handler{} }),
		isSet("stopHTTP", func(s *spec.Spec) { s.StopHTTP = &spec.Request{} }),
		isSet("exitHTTP", func(s *spec.Spec) { s.ExitHTTP = make([]spec.Request, 1) }),
		isSet("stopSignal", func(s *spec.Spec) { s.StopSignal = 2 }),
		isSet("signal for dependencies", func(s *spec.Spec) { s.DependencySignal = 12 }),
		isSet("short grace", func(s *spec.Spec) { s.GracePeriod = 2 * time.Second }),
	}
}

// inPlace returns the options of a command that replaces the wrapper.
func inPlace() []option {
	exec := option{"mode", []way{{"exec", func(s *spec.Spec) { s.Mode = spec.ExecMode }}}}
	return []option{{"start p", startWays("p")}, {"start q", append(startWays("q"), endpointWays("q", false, true)...)}, timeoutOption(), restartOption(), filesOption(), exec}
}

// restarting returns the options of a command that restarts with the only
// container that its spec names. With two containers, or with all options,
// there would be too many states.
func restarting() []option {
	options := []option{{"restart with", []way{{"p", func(s *spec.Spec) { s.RestartWith = []string{"p"} }}}}}
	for _, o := range supervised() {
		switch o.name {
		case "start q", "stop q", "hold", "codes", "stopWhen all", "postStart", "exitHTTP", "stopSignal", "envFiles":
		default:
			options = append(options, o)
		}
	}
	return append(options, holdOption(nil, []string{"p"}))
}

// build returns the spec for a row of ways, and its name.
func build(options []option, row []int) (spec.Spec, string) {
	s := spec.Default()
	s.GracePeriod = time.Minute
	s.StoppedExitCode, s.KilledExitCode = 11, 12
	var names []string
	for i, o := range options {
		w := o.ways[row[i]]
		w.set(&s)
		names = append(names, o.name+"="+w.name)
	}
	return s, strings.Join(names, " ")
}

// pairs returns rows in which every two ways of two options occur together at
// least once: a greedy covering array, which is the same for the same seed.
func pairs(options []option, seed uint64) [][]int {
	type pair struct{ a, av, b, bv int }
	open := map[pair]bool{}
	var order []pair
	for a := range options {
		for b := range a {
			for av := range options[a].ways {
				for bv := range options[b].ways {
					p := pair{a, av, b, bv}
					open[p] = true
					order = append(order, p)
				}
			}
		}
	}
	gain := func(row []int, at, v int) (n int) {
		for i, w := range row {
			switch {
			case w < 0 || i == at:
			case i < at && open[pair{at, v, i, w}], i > at && open[pair{i, w, at, v}]:
				n++
			}
		}
		return n
	}
	random := rand.New(rand.NewPCG(seed, 0))
	var rows [][]int
	for _, p := range order {
		if !open[p] {
			continue
		}
		row := make([]int, len(options))
		for i := range row {
			row[i] = -1
		}
		row[p.a], row[p.b] = p.av, p.bv
		for _, at := range random.Perm(len(options)) {
			if row[at] >= 0 {
				continue
			}
			best := -1
			for _, v := range random.Perm(len(options[at].ways)) {
				if n := gain(row, at, v); n > best {
					best, row[at] = n, v
				}
			}
		}
		for a := range options {
			for b := range a {
				delete(open, pair{a, row[a], b, row[b]})
			}
		}
		rows = append(rows, row)
	}
	return rows
}
