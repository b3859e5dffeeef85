package inject

import (
	"cmp"
	"fmt"
	"slices"

	"koordinator.io/koordinator/wrapper/spec"
)

// Command is what a container runs as its image says, or why that is not known.
type Command struct {
	Words      []string            // before the pod's args, as they are written into the pod
	ByPlatform map[string][]string // instead of Words, where platforms differ
	StopSignal string              // of the image; "" where it names none
	Digest     string              // of the image that a registry was asked about; "" where none was
	Warning    string              // for whoever creates the pod; "" for none

	// Problem says why it is not known, with what can be done about it, but for
	// what can always be done. "" where it is known.
	Problem string
	Trouble bool // it is nobody's mistake: whoever runs the registry, or the network between
}

// lacks reports whether a container's command could not be found out.
func (in *input) lacks(name string) bool {
	_, lacking := in.lacking[name]
	return lacking
}

// wrapped reports whether an earlier call has put koordinator before the command.
func (c container) wrapped() bool {
	return len(c.Command) > 0 && c.Command[0] == spec.Binary || wrappedWithin(c)
}

// wrappedWithin reports whether another webhook has put a program of its own
// before ours since we wrapped the container, moving our command to the args.
func wrappedWithin(c container) bool {
	all := len(c.Command) + len(c.Args)
	word := func(i int) string {
		if i < len(c.Command) {
			return c.Command[i]
		}
		return c.Args[i-len(c.Command)]
	}
	for i := range all {
		if word(i) == spec.Binary {
			return i > 0 && i+1 < all && word(i+1) == "--"
		}
	}
	return false
}

// wantsCommand reports whether a member's image decides what is run.
func (m *member) wantsCommand() bool {
	return len(m.Command) == 0 && m.wish.Command == nil && !wrappedWithin(m.container)
}

// checkCommand refuses a command of ours that is none, and one that is not known. It
// returns why the pod is to be left alone, if it is.
func (in *input) checkCommand(m *member, n *Notes) (skip []string) {
	if wrappedWithin(m.container) {
		return nil
	}
	switch found := in.lacking[m.Name]; {
	case m.wrapped() && !whole(m):
		n.refuse(m.place(), fmt.Sprintf("command: %s is koordinator's own: write the real command, koordinator puts itself before it", spec.Binary))
	case m.wrapped():
	case m.wish.Command != nil && len(m.Command) > 0:
		n.warn(m.wish.Places["command"], "replaces the command and args in the pod")
	case !in.lacks(m.Name):
	case found.Trouble && in.settings.SkipTrouble:
		return []string{fmt.Sprintf("%s: %s", m.place(), found.Problem)}
	default:
		why := cmp.Or(found.Problem, fmt.Sprintf("the image %q decides what is run, and this installation does not look into images", m.Image))
		n.refuse(m.place(), fmt.Sprintf("pod %q: the command is not known: %s; or %s", in.podName(), why, commandRemedies(m.container)))
	}
	return nil
}

// whole reports whether a command that begins with the wrapper goes on as one
// of ours does. One whose image runs something else on each platform, or
// nothing but the pod's args, ends with the "--".
func whole(m *member) bool {
	return len(m.Command) > 1 && m.Command[1] == "--" &&
		len(m.Command)+len(m.Args)+len(m.before.Commands) > 2
}

// commandRemedies is what can always be done about a command that is not known.
func commandRemedies(c container) string {
	return fmt.Sprintf("set command: in the pod, or the annotation %scommand: {%q: [\"/path/to/program\", \"arg\"]}, or have the operator of koordinator add the image to the command index", Prefix, c.Name)
}

// checkUnwrapped tells of containers that others depend on and that stay as
// they are, since their command is not known: their facts come from the pod's
// status.
func (in *input) checkUnwrapped(all members, n *Notes) {
	for _, c := range in.containers {
		if found := in.lacking[c.Name]; found.Problem != "" && all.named(c.Name) == nil {
			n.warn(c.place(), "is not wrapped, so that its facts come from the pod's status: "+found.Problem)
		}
	}
}

// command puts the wrapper before the real command. The pod's args stay where
// they are: the runtime appends them to the command, so they reach it behind
// the "--". A command from the annotation is complete and replaces both.
func (p *patch) command(m *instructed) {
	own := m.Command
	switch {
	case wrappedWithin(m.container):
		return
	case m.wish.Command != nil:
		own = m.wish.Command
		if len(m.Args) > 0 {
			p.remove(m.pointer("args")...)
		}
	case m.wrapped():
		own = m.Command[2:]
	case len(m.Command) == 0:
		own = m.words
	}
	want := append([]string{spec.Binary, "--"}, own...)
	if !slices.Equal(m.Command, want) {
		p.set(want, m.pointer("command")...)
	}
}
