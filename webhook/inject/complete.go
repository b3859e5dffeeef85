package inject

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// Found is what is known about the images of a pod's containers.
type Found struct {
	Commands map[string]Command // of the containers that the plan wants them for

	// StopSignal returns the stop signal of an image in the operator's command index,
	// or "" if it has none; nil: there is no index.
	StopSignal func(image string) string
}

// Completed is a plan with everything that is written into the pod.
type Completed struct {
	messages.Notes          // including those of the plan
	Wrapped        []string // containers that run under koordinator
	Skipped        bool     // the pod is left unchanged because of a failure that it did not cause

	given   input
	members []*instructed
}

// Complete completes a plan with the commands that were found. If some are
// missing, it makes the plan again without them: a container whose command is not
// known is rejected, or is not wrapped if it is only a dependency of others.
func Complete(p Planned, found Found) Completed {
	if lacking := p.lacking(found.Commands); len(lacking) > 0 {
		given := p.given
		given.lacking = lacking
		p = plan(given)
	}
	c := Completed{
		Notes:   messages.Notes{Root: p.Root, Problems: slices.Clip(p.Problems), Warnings: slices.Clip(p.Warnings)}, // the plan's own stay unchanged
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

// lacking returns the containers whose commands were not found, with the reasons.
func (p Planned) lacking(found map[string]Command) map[string]Command {
	lacking := map[string]Command{}
	for _, name := range p.Wanted {
		if c, ok := found[name]; !ok || c.Problem.Code != "" {
			lacking[name] = c
		}
	}
	return lacking
}

// complete returns the member with the result of a lookup. The result of an
// earlier lookup is already in the container that was wrapped then.
func (m *instructed) complete(found Found, n *messages.Notes) *instructed {
	if m.wrapped() {
		return m
	}
	command, known := found.Commands[m.Name]
	known = known && command.Problem.Code == "" && m.wantsCommand()
	var signal syscall.Signal
	switch {
	case known:
		signal = m.imageSignal(command.StopSignal, n)
	case found.StopSignal != nil: // the command is in the pod, but the stop signal is still the image's
		signal = m.imageSignal(found.StopSignal(m.Image), n)
	}
	if m.Lifecycle != nil && m.Lifecycle.StopSignal != nil {
		signal = 0 // the pod's own takes precedence
	}
	if !known && signal == 0 {
		return m
	}
	done := *m
	done.spec.RequestSignal = cmp.Or(signal, m.spec.RequestSignal)
	if known {
		done.words, done.image, done.spec.Commands = command.Words, command.Digest, command.ByPlatform
		if w := command.Warning; w.Code != "" {
			n.Warn(m.place().Field("image"), w.Code, w.Value, w.Sentence, w.Remedy)
		}
	}
	if signal != 0 || done.spec.Commands != nil {
		done.text = done.spec.Encode()
		done.checkEnv(n)
		done.checkSpec(n)
	}
	return &done
}

// imageSignal parses an image's stop signal. It returns 0 if the image has none.
func (m *instructed) imageSignal(text string, n *messages.Notes) syscall.Signal {
	if text == "" {
		return 0
	}
	signal, err := spec.ParseSignal(text)
	if problems, bad := errors.AsType[spec.Problems](err); bad {
		n.Warn(m.place().Field("image"), messages.ImageStopSignal, text,
			fmt.Sprintf("koordinator does not use the STOPSIGNAL of the image %q, because %s", m.Image, problems[0].Text), "Set lifecycle.stopSignal, or the annotation "+Prefix+"stop-signal")
	}
	return signal
}
