package wrapper

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// KilledCode is the exit code of a container that was killed together with its
// wrapper, as the kubelet reports it.
const KilledCode = 137

// knowledge is the state of the other containers as far as it is known, per
// source.
type knowledge struct {
	spec    spec.Spec
	records record.Snapshot    // of wrapped containers
	status  podstatus.Snapshot // nil: the API server has not reported anything
	late    bool               // wrapped containers without a record will not get one
	mute    bool               // the pod's status cannot be read at all
	other   lifecycle.Facts    // from another system; overrides every other source
	leaving bool               // the exit is published: only records show whether others exited before

	answered map[string]bool   // endpoints that have answered, by URL
	trouble  map[string]string // why the others did not answer the last time
}

// wrapped reports whether a container keeps a record.
func (k knowledge) wrapped(name string) bool { return slices.Contains(k.spec.Wrapped, name) }

// facts returns the facts about each container that the spec names.
func (k knowledge) facts() lifecycle.Facts {
	f := lifecycle.Facts{}
	for _, name := range k.names() {
		one := k.fact(name)
		if slices.Contains(k.spec.RestartWith, name) {
			one.Ends = k.ends(name)
		}
		f[name] = one
	}
	for _, e := range k.spec.StartEndpoints {
		f[e.URL] = k.endpoint(e.URL)
	}
	return f
}

// ends returns how often a container's command has ended. A container's records
// count its starts, so a container without a record so far has not ended.
func (k knowledge) ends(name string) lifecycle.Ends {
	p, there := k.records[name]
	c, reported := k.status[name]
	switch {
	case there:
		return lifecycle.Ends{Counter: lifecycle.ByRecord, Number: p.Ended(!k.local() && (!reported || c.Runs))}
	case k.wrapped(name) && !k.late:
		return lifecycle.Ends{Counter: lifecycle.ByRecord}
	case k.local() || !reported:
		return lifecycle.Ends{}
	default:
		return lifecycle.Ends{Counter: lifecycle.ByStatus, Number: c.Ends}
	}
}

// names returns the containers that the spec names.
func (k knowledge) names() []string {
	names := slices.Concat(k.spec.HoldFor, k.spec.RestartWith)
	for _, d := range slices.Concat(k.spec.StartDeps, k.spec.StopDeps) {
		names = append(names, d.Container)
	}
	for _, delegation := range k.spec.Delegated {
		for _, d := range delegation.StopDeps {
			if d.Container != k.spec.Container {
				names = append(names, d.Container)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (k knowledge) fact(name string) lifecycle.Fact {
	if f, told := k.other[name]; told {
		return f
	}
	p, there := k.records[name]
	switch {
	case k.spec.Source == spec.SourcePod && (!k.leaving || !there):
		return k.corrected(name)
	case there && !k.local() && p.Gone() && p.Process != nil:
		return k.replaced(name)
	case there:
		return k.completed(name, recorded(p))
	case k.wrapped(name) && !k.late && !k.leaving:
		return lifecycle.Fact{}
	}
	return k.byEndpoint(name, k.told(name))
}

// local reports whether records are the only source.
func (k knowledge) local() bool { return k.spec.Source == spec.SourceLocal || k.mute }

// corrected returns the facts from the pod's status, except where the container's
// record contradicts them. The kubelet reports a waiting container as started
// after it has lost the result of its startup probe. It writes no container
// statuses while it terminates a pod. A termination message that says that the
// command never ran, or that the wrapper stopped it, may be missing. Whether an
// exit is permanent is left to the status.
func (k knowledge) corrected(name string) lifecycle.Fact {
	f := k.told(name)
	p, there := k.records[name]
	if !there || p.Gone() && p.Process != nil {
		return f
	}
	r := recorded(p)
	f.Started, f.Ready = f.Started && r.Started, f.Ready && r.Runs
	f.Runs, f.Stopping, f.Unseen = r.Runs, r.Stopping, false
	f.Stopped = f.Exited && (f.Stopped || r.Stopped)
	return f
}

// replaced returns the facts about a container whose command has replaced the
// wrapper and no longer holds the record. It may have exited, or only have
// closed the record, so the facts come from the pod's status.
func (k knowledge) replaced(name string) lifecycle.Fact {
	f := k.told(name)
	f.Started = true
	return f
}

// told returns the facts from the pod's status.
func (k knowledge) told(name string) lifecycle.Fact {
	if k.local() {
		return lifecycle.Fact{}
	}
	if k.status == nil {
		return lifecycle.Fact{Unheard: true, Unseen: true}
	}
	c, there := k.status[name]
	if !there {
		has := strings.Join(slices.Sorted(maps.Keys(k.status)), ", ")
		return lifecycle.Fact{Missing: fmt.Sprintf("no container %q in this pod (has: %s)", name, has)}
	}
	return lifecycle.Fact{
		Started: c.Started, Ready: c.Ready, Runs: c.Runs, Stopping: c.Stopping,
		Exited: c.Exited, Stopped: c.Stopped, Code: c.Code, Reason: c.Reason, Unseen: true,
	}
}

// completed takes the end of a container that left no exit in its record from
// the pod's status, if the status has it already.
func (k knowledge) completed(name string, f lifecycle.Fact) lifecycle.Fact {
	if c := k.status[name]; k.records[name].Gone() && c.Exited {
		return k.told(name)
	}
	return f
}

// recorded returns the facts from a record. A container whose wrapper is gone
// without having recorded an exit was killed together with it.
func recorded(p record.Peer) lifecycle.Fact {
	f := lifecycle.Fact{Started: p.Started || p.Before, Stopping: p.Stopping}
	inPlace := p.Process != nil && p.Exit == nil
	switch {
	case p.Exit != nil:
		f.Left = !p.Alive
		f.Exited, f.Stopped, f.Code, f.Reason = p.Exit.ForGood, p.Exit.Stopped, p.Exit.Code, p.Exit.Reason
	case !p.Alive:
		f.Exited, f.Code, f.Reason = p.KilledForGood, KilledCode, "killed together with its wrapper"
		f.Mute = inPlace
	default:
		f.Ready, f.Runs = p.Ready, p.Started
		if p.Trouble == spec.NoNotice { // the text of a probe's failure changes with each try
			f.Trouble = p.Trouble
		}
		f.Stopping = f.Stopping || inPlace // a command that replaced the wrapper cannot report a stop request
	}
	return f
}

// needsStatus reports whether the pod's status is needed for one of the named
// containers.
func (k knowledge) needsStatus(names []string) bool {
	if k.local() {
		return false
	}
	return slices.ContainsFunc(names, func(name string) bool {
		if _, told := k.other[name]; told || spec.IsEndpoint(name) || k.leftToEndpoint(name) {
			return false
		}
		p, there := k.records[name]
		if there && k.spec.Source != spec.SourcePod {
			return p.Gone() && (p.KilledForGood || p.Process != nil) && !k.status[name].Exited
		}
		return k.spec.Source == spec.SourcePod || !k.wrapped(name) || k.late || k.leaving
	})
}
