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

// knowledge is what is known of the other containers, and from where.
type knowledge struct {
	spec    spec.Spec
	records record.Snapshot    // of wrapped containers
	status  podstatus.Snapshot // nil: nothing has been heard of the API server
	late    bool               // a wrapped container without a record has none to come
	mute    bool               // the pod's status cannot be read at all
	other   lifecycle.Facts    // what another system says; before all else
}

// wrapped tells whether a container keeps a record.
func (k knowledge) wrapped(name string) bool { return slices.Contains(k.spec.Wrapped, name) }

// facts is what is known of each container that the spec names.
func (k knowledge) facts() lifecycle.Facts {
	f := lifecycle.Facts{}
	for _, name := range k.names() {
		f[name] = k.fact(name)
	}
	return f
}

// names are the containers that the spec names.
func (k knowledge) names() []string {
	names := slices.Clone(k.spec.HoldFor)
	for _, d := range slices.Concat(k.spec.StartDeps, k.spec.StopDeps) {
		names = append(names, d.Container)
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
	case k.spec.Source == spec.SourcePod:
		return k.corrected(name)
	case there && !k.local() && p.Gone() && p.Process != nil:
		return k.replaced(name)
	case there:
		return k.completed(name, recorded(p))
	case k.wrapped(name) && !k.late:
		return lifecycle.Fact{}
	}
	return k.told(name)
}

// local reports whether records have to do alone.
func (k knowledge) local() bool { return k.spec.Source == spec.SourceLocal || k.mute }

// corrected is what the status reports, but for what the record of a wrapper
// that lives contradicts: the kubelet takes a container that waits for one that
// runs when it has lost its startup probe's result, and it writes no container
// statuses while it terminates a pod.
func (k knowledge) corrected(name string) lifecycle.Fact {
	f := k.told(name)
	p, there := k.records[name]
	if !there || !p.Alive || p.Exit != nil {
		return f
	}
	r := recorded(p)
	f.Started, f.Ready = f.Started && r.Started, f.Ready && r.Runs
	f.Runs, f.Stopping, f.Unseen = r.Runs, r.Stopping, false
	return f
}

// replaced is what is known of a container whose command has taken the wrapper's
// place and no longer holds the record: it may be gone, or only have closed the
// record. The status knows.
func (k knowledge) replaced(name string) lifecycle.Fact {
	f := k.told(name)
	f.Started = true
	return f
}

// told is what the pod's status says.
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

// completed takes the end of a container that is gone without a word from the
// status, where that knows it already.
func (k knowledge) completed(name string, f lifecycle.Fact) lifecycle.Fact {
	if c := k.status[name]; k.records[name].Gone() && c.Exited {
		return k.told(name)
	}
	return f
}

// recorded is what a record says. A container whose wrapper is gone without a
// word was killed together with it.
func recorded(p record.Peer) lifecycle.Fact {
	f := lifecycle.Fact{Started: p.Started || p.Before, Stopping: p.Stopping}
	switch {
	case p.Exit != nil:
		f.Exited, f.Stopped, f.Code, f.Reason = p.Exit.ForGood, p.Exit.Stopped, p.Exit.Code, p.Exit.Reason
	case !p.Alive:
		f.Exited, f.Code, f.Reason = p.KilledForGood, KilledCode, "killed together with its wrapper"
	default:
		f.Ready, f.Runs = p.Ready, p.Started
		f.Stopping = f.Stopping || p.Process != nil // the command in the wrapper's place cannot say
	}
	return f
}

// needsStatus tells whether one of the named containers is known through the
// pod's status alone.
func (k knowledge) needsStatus(names []string) bool {
	if k.local() {
		return false
	}
	return slices.ContainsFunc(names, func(name string) bool {
		if _, told := k.other[name]; told {
			return false
		}
		p, there := k.records[name]
		if there && k.spec.Source != spec.SourcePod {
			return p.Gone() && (p.KilledForGood || p.Process != nil) && !k.status[name].Exited
		}
		return k.spec.Source == spec.SourcePod || !k.wrapped(name) || k.late
	})
}
