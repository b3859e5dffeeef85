package inject

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"koordinator.io/koordinator/wrapper/spec"
)

// Commands are what is known of containers whose pod says not what they run.
type Commands struct {
	Found map[string]Command // by container

	// StopSignal is the stop signal that the operator's command index has for an
	// image, "" where it has none; nil: there is no index.
	StopSignal func(image string) string

	// Assume takes every command for known, to find what else is wrong. A
	// Result then names those it has assumed, and has no patch if there are any.
	Assume bool
}

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

// commandOf is what is known of a container's image.
func (j *job) commandOf(c container) (Command, bool) {
	found, ok := j.commands.Found[c.Name]
	return found, ok && found.Problem == ""
}

// commandKnown reports whether a container could be wrapped.
func (j *job) commandKnown(c container) bool {
	if len(c.Command) > 0 || j.wishes[c.Name].Command != nil || j.commands.Assume {
		return true
	}
	_, known := j.commandOf(c)
	return known
}

// command puts the wrapper before the real command. The pod's args stay where
// they are: the runtime appends them to the command, so they reach it behind
// the "--". A command from the annotation is complete and replaces both.
func (j *job) command(m *member) {
	own, given := m.Command, m.wish.Command
	if wrappedWithin(m.container) {
		return
	}
	ours := len(own) > 0 && own[0] == spec.Binary
	switch {
	case ours && !whole(m):
		j.refuse(m.place(), fmt.Sprintf("command: %s is koordinator's own: write the real command, koordinator puts itself before it", spec.Binary))
		return
	case ours:
		own = own[2:]
	case given != nil && len(own) > 0:
		j.warn(m.wish.Places["command"], "replaces the command and args in the pod")
	}
	switch {
	case given != nil:
		own = given
		if len(m.Args) > 0 {
			j.patch.remove(m.pointer("args")...)
		}
	case len(m.Command) == 0:
		found, known := j.commandOf(m.container)
		if !known {
			j.commandUnknown(m.container, found)
			return
		}
		own = found.Words
		if found.Warning != "" {
			j.warn(m.place(), found.Warning)
		}
	}
	want := append([]string{spec.Binary, "--"}, own...)
	if !slices.Equal(m.Command, want) {
		j.patch.set(want, m.pointer("command")...)
	}
}

// whole reports whether a command that begins with the wrapper goes on as one
// of ours does. One whose image runs something else on each platform, or
// nothing but the pod's args, ends with the "--".
func whole(m *member) bool {
	return len(m.Command) > 1 && m.Command[1] == "--" &&
		len(m.Command)+len(m.Args)+len(m.before.Commands) > 2
}

// wrappedWithin reports whether another webhook has put a program of its own
// before ours since we wrapped the container, moving our command to the args.
func wrappedWithin(c container) bool {
	words := slices.Concat(c.Command, c.Args)
	i := slices.Index(words, spec.Binary)
	return i > 0 && i+1 < len(words) && words[i+1] == "--"
}

// commandUnknown is about a container that must be wrapped and has no command
// that we know.
func (j *job) commandUnknown(c container, found Command) {
	switch {
	case j.commands.Assume:
		j.result.Assumed = append(j.result.Assumed, c.Name)
		return
	case found.Trouble && j.settings.SkipTrouble:
		j.skipped = append(j.skipped, fmt.Sprintf("%s: %s", c.place(), found.Problem))
		return
	case found.Problem == "":
		found.Problem = fmt.Sprintf("the image %q decides what is run, and this installation does not look into images", c.Image)
	}
	j.refuse(c.place(), fmt.Sprintf("pod %q: the command is not known: %s; or %s", j.podName(), found.Problem, commandRemedies(c)))
}

// commandRemedies is what can always be done about a command that is not known.
func commandRemedies(c container) string {
	return fmt.Sprintf("set command: in the pod, or the annotation %scommand: {%q: [\"/path/to/program\", \"arg\"]}, or have the operator of koordinator add the image to the command index", Prefix, c.Name)
}

// checkUnwrapped tells of containers that others depend on and that stay as
// they are, since their command is not known: their facts come from the pod's
// status.
func (j *job) checkUnwrapped() {
	for _, c := range j.containers {
		found := j.commands.Found[c.Name]
		if j.member(c.Name) == nil && found.Problem != "" {
			j.warn(c.place(), "is not wrapped, so that its facts come from the pod's status: "+found.Problem)
		}
	}
}

// imageSays fills in what a lookup has found, of this call or, where the
// container has been wrapped since, of an earlier one.
func (j *job) imageSays(m *member) {
	found, known := j.commandOf(m.container)
	switch {
	case len(m.Command) > 0 && m.Command[0] == spec.Binary, wrappedWithin(m.container):
		m.spec.Commands, m.spec.RequestSignal = m.before.Commands, m.before.RequestSignal
	case known && len(m.Command) == 0 && m.wish.Command == nil:
		m.spec.Commands = found.ByPlatform
		m.spec.RequestSignal = j.stopSignal(m, found.StopSignal)
	case j.commands.StopSignal != nil: // the pod has the command; the signal is the image's all the same
		m.spec.RequestSignal = j.stopSignal(m, j.commands.StopSignal(m.Image))
	}
}

// lookedUp are the digests of the images of which a registry was asked what they
// run, by container: in this call, or in an earlier one that wrapped it.
func (j *job) lookedUp() map[string]string {
	var before Status
	_ = json.Unmarshal([]byte(j.pod.Annotations[StatusAnnotation]), &before) // somebody's own text is none of ours
	all := map[string]string{}
	for _, m := range j.members {
		found, known := j.commandOf(m.container)
		digest := before.LookedUp[m.Name]
		switch {
		case known && len(m.Command) == 0 && m.wish.Command == nil:
			digest = found.Digest
		case m.before.Container == "":
			digest = ""
		}
		if digest != "" {
			all[m.Name] = digest
		}
	}
	return all
}

// stopSignal reads an image's stop signal, 0 where it names none.
func (j *job) stopSignal(m *member, text string) syscall.Signal {
	if text == "" {
		return 0
	}
	signal, err := spec.ParseSignal(text)
	if err != nil {
		j.warn(m.place(), fmt.Sprintf("the STOPSIGNAL of the image %q is not used: %v", m.Image, err))
	}
	return signal
}

// skip leaves a pod as it is, and says so in its status annotation.
func (j *job) skip() {
	j.patch, j.result.Wrapped = nil, nil
	j.result.Skipped = true
	why := strings.Join(j.skipped, "; ")
	if slices.ContainsFunc(j.members, func(m *member) bool { return m.before.Container != "" }) {
		j.warn("koordinator", "the pod is ordered without what was added to it since: "+why)
		return // what an earlier call has done is right without it
	}
	j.warn("koordinator", "the pod is left alone, and its containers start and stop in no order: "+why)
	j.status(Status{Version: j.settings.Version, Skipped: true})
}
