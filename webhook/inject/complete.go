package inject

import (
	"cmp"
	"fmt"
	"slices"
	"syscall"

	"koordinator.io/koordinator/wrapper/spec"
)

// Found is what is known of the images of a pod's containers.
type Found struct {
	Commands map[string]Command // of the containers that the plan wants it of

	// StopSignal is the stop signal that the operator's command index has for an
	// image, "" where it has none; nil: there is no index.
	StopSignal func(image string) string
}

// Completed is a plan with all that is written into the pod.
type Completed struct {
	Notes            // those of the plan included
	Wrapped []string // containers that run under koordinator
	Skipped bool     // the pod is left alone, for trouble that is not its own

	given   input
	members []*instructed
}

// Complete adds to a plan what was found out. The plan is made again where that is
// less than it wants: a container whose command is not known is refused, or not
// wrapped where only others depend on it.
func Complete(p Planned, found Found) Completed {
	if lacking := p.lacking(found.Commands); len(lacking) > 0 {
		given := p.given
		given.lacking = lacking
		p = plan(given)
	}
	c := Completed{
		Notes:   Notes{slices.Clip(p.Problems), slices.Clip(p.Warnings)}, // the plan's own stay as they are
		Skipped: p.skipped, given: p.given, members: make([]*instructed, len(p.members)),
	}
	for i, m := range p.members {
		c.members[i] = m.complete(found, &c.Notes)
		if !c.Skipped {
			c.Wrapped = append(c.Wrapped, m.Name)
		}
	}
	return c
}

// lacking are the containers whose commands were not found, with the reasons.
func (p Planned) lacking(found map[string]Command) map[string]Command {
	lacking := map[string]Command{}
	for _, name := range p.Wanted {
		if c, ok := found[name]; !ok || c.Problem != "" {
			lacking[name] = c
		}
	}
	return lacking
}

// complete is the member with what a lookup has found. What an earlier one found
// stands in the container that was wrapped since.
func (m *instructed) complete(found Found, n *Notes) *instructed {
	if m.wrapped() {
		return m
	}
	command, known := found.Commands[m.Name]
	known = known && command.Problem == "" && m.wantsCommand()
	var signal syscall.Signal
	switch {
	case known:
		signal = m.imageSignal(command.StopSignal, n)
	case found.StopSignal != nil: // the pod has the command; the signal is the image's all the same
		signal = m.imageSignal(found.StopSignal(m.Image), n)
	}
	if m.Lifecycle != nil && m.Lifecycle.StopSignal != nil {
		signal = 0 // the pod's own is there
	}
	if !known && signal == 0 {
		return m
	}
	done := *m
	done.spec.RequestSignal = cmp.Or(signal, m.spec.RequestSignal)
	if known {
		done.words, done.image, done.spec.Commands = command.Words, command.Digest, command.ByPlatform
		if command.Warning != "" {
			n.warn(m.place(), command.Warning)
		}
	}
	if signal != 0 || done.spec.Commands != nil {
		done.text = done.spec.Encode()
		done.checkEnv(n)
		done.checkSpec(n)
	}
	return &done
}

// imageSignal reads an image's stop signal, 0 where it names none.
func (m *instructed) imageSignal(text string, n *Notes) syscall.Signal {
	if text == "" {
		return 0
	}
	signal, err := spec.ParseSignal(text)
	if err != nil {
		n.warn(m.place(), fmt.Sprintf("the STOPSIGNAL of the image %q is not used: %v", m.Image, err))
	}
	return signal
}
