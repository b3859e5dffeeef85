package inject

import (
	"fmt"
	"slices"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// Command is the command of a container according to its image, or the reason why
// it is not known.
type Command struct {
	Words      []string            // before the pod's args, in the form in which they are written into the pod
	ByPlatform map[string][]string // instead of Words, if platforms differ
	StopSignal string              // of the image; "" if it has none
	Digest     string              // of the image that was looked up in a registry; "" if none was
	Warning    messages.Problem    // for the author of the pod, without a place; without a code: none

	// Problem is the reason why the command is not known, without a place. Its remedy
	// omits what can always be done. It has no code if the command is known.
	Problem messages.Problem
	Trouble bool // nothing is wrong with the pod: the registry, or the network to it, fails
}

// The problem of a command that is koordinator's own program, and its remedy.
const (
	OwnProgram       = spec.Binary + " is koordinator's own program"
	WriteRealCommand = "Write the container's own command: koordinator inserts its program before it"
)

// lacks reports whether a container's command could not be determined.
func (in *input) lacks(name string) bool {
	_, lacking := in.lacking[name]
	return lacking
}

// wrapped reports whether an earlier call has prepended koordinator to the
// command.
func (c container) wrapped() bool {
	return len(c.Command) > 0 && c.Command[0] == spec.Binary || wrappedWithin(c)
}

// wrappedWithin reports whether another webhook has prepended its own program to
// koordinator since the container was wrapped, and moved koordinator's command to
// the args.
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

// wantsCommand reports whether a member's command is that of its image.
func (m *member) wantsCommand() bool {
	return len(m.Command) == 0 && m.wish.Command == nil && !wrappedWithin(m.container)
}

// checkCommand rejects a command that begins with koordinator but is not
// koordinator's own, and one that is not known. It reports whether to leave the
// pod unchanged.
func (in *input) checkCommand(m *member, before bool, n *messages.Notes) (skip bool) {
	if wrappedWithin(m.container) {
		return false
	}
	switch found := in.lacking[m.Name]; {
	case m.wrapped() && !whole(m):
		n.Refuse(m.place().Field("command"), messages.OwnCommand, spec.Binary, OwnProgram, WriteRealCommand)
	case m.wrapped():
	case m.wish.Command != nil && len(m.Command) > 0:
		n.Warn(m.wish.Places["command"], messages.CommandReplaced, "", fmt.Sprintf("this command replaces command and args of %q", m.Name), "Remove the annotation, or command from the container")
	case !in.lacks(m.Name):
	case found.Trouble && in.settings.SkipTrouble:
		n.Warn(m.place().Field("image"), messages.LeftAlone, m.Image, skipText(before)+found.Problem.Sentence, found.Problem.Remedy)
		return true
	default:
		in.refuseUnknown(m, found.Problem, n)
	}
	return false
}

// refuseUnknown rejects a container whose command is not known.
func (in *input) refuseUnknown(m *member, why messages.Problem, n *messages.Notes) {
	if why.Code == "" {
		why = messages.Problem{Code: messages.CommandUnknown, Sentence: fmt.Sprintf("it is not set, and image lookup is disabled (image %q)", m.Image)}
	}
	remedy := commandRemedies(m.container)
	if why.Remedy != "" {
		remedy = why.Remedy + ". Alternatively, s" + remedy[1:]
	}
	n.Refuse(m.place(), why.Code, m.Image, "koordinator needs the container's command: "+why.Sentence, remedy)
}

// skipText describes the effect of a failure on a pod that did not cause it. If
// an earlier call has injected the pod, its changes stay valid without the later
// additions.
func skipText(before bool) string {
	if before {
		return "koordinator does not order containers that were added to this pod after its injection, because the command is unknown: "
	}
	return "koordinator does not change this pod, and its containers start and stop in no particular order, because the container's command is unknown: "
}

// whole reports whether a command that begins with the wrapper continues like one
// that koordinator has written. A command ends with the "--" if its image runs
// different commands on each platform, or if only the pod's args are run.
func whole(m *member) bool {
	return len(m.Command) > 1 && m.Command[1] == "--" &&
		len(m.Command)+len(m.Args)+len(m.before.Commands) > 2
}

// commandRemedies returns what can always be done about an unknown command. The
// text begins with "Set".
func commandRemedies(c container) string {
	return fmt.Sprintf("Set command or the annotation %scommand: {%q: [\"/path/to/program\", \"arg\"]}, or have an administrator add the image to koordinator's command index", Prefix, c.Name)
}

// checkUnwrapped warns of containers that others depend on and that are not
// wrapped because their command is not known.
func (in *input) checkUnwrapped(all members, n *messages.Notes) {
	for _, c := range in.containers {
		if why := in.lacking[c.Name].Problem; why.Code != "" && all.named(c.Name) == nil {
			n.Warn(c.place(), messages.StaysUnwrapped, c.Image, "koordinator does not wrap this container, and reads its state from the pod's status, because its command is unknown: "+why.Sentence, why.Remedy)
		}
	}
}

// command prepends the wrapper to the real command. The pod's args stay where
// they are: the runtime appends them to the command, so they come after the "--".
// A command from the annotation is complete and replaces both.
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
