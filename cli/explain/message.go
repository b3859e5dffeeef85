package explain

import (
	"fmt"
	"strings"
	"syscall"

	"koordinator.io/koordinator/wrapper/spec"
)

// exits explains the exit codes of the wrapper.
var exits = map[int]Entry{
	0:                      {Means: "The command succeeded, or koordinator stopped it and it ended in time. In the latter case, the termination message begins with \"" + spec.StoppedBy + "\".", Mend: "To see the command's own code after a stop, set stopped-exit-code: child."},
	spec.ExitBadConfig:     {Means: "The wrapper's configuration or command line is invalid. The command did not run. The termination message and the log list every problem.", Mend: "The webhook does not write invalid configurations. If you write KOORDINATOR_SPEC yourself, correct it. A spec of a newer webhook requires a wrapper of the same version."},
	spec.ExitUnsatisfiable: {Means: "A start dependency can no longer come true, so the command did not run: a container that it waits for has permanently exited without it. The termination message names the container and its exit code.", Mend: "Find out why that container failed: kubectl koordinator timeline POD. To start anyway, make the dependency optional (name?)."},
	spec.ExitRestart:       {Means: "The container was stopped because a container of its restart-with ended. The kubelet starts it again.", Mend: "See why the other container ended: kubectl koordinator timeline POD."},
	spec.ExitEnvFile:       {Means: "A file of env-file is missing, unreadable or malformed. The command did not run. The message names the file and the line, never a value.", Mend: "Correct the file, or write /path? if it is optional."},
	spec.ExitStartTimeout:  {Means: "start-timeout passed before the start dependencies held. The command did not run.", Mend: "See what it waited for: kubectl koordinator timeline POD. Set a longer start-timeout, or on-start-timeout: start."},
	spec.ExitNotExecutable: {Means: "The command was found, but could not be run: for example, it is not executable, or built for another platform.", Mend: "Check the file's mode and platform, and the interpreter in its first line."},
	spec.ExitNotFound:      {Means: "The command was not found in the container.", Mend: "Check command: in the pod, the annotation koordinator.io/command, and PATH."},
	137:                    {Means: "SIGKILL ended the command: the container ran out of memory, or did not end within the grace period.", Mend: "See the container's reason (OOMKilled) with kubectl describe pod, and stop-timeout, stop-delay and terminationGracePeriodSeconds."},
	spec.ExitStopped:       {Means: "The container was stopped while it waited, so the command did not run. If the command did run, SIGTERM ended it.", Mend: "No action is required if the pod was deleted. Otherwise see what stopped it: kubectl koordinator timeline POD."},
}

// exitCode explains an exit code.
func exitCode(number int) ([]Entry, error) {
	if number < 0 || number > 255 {
		return nil, fmt.Errorf("%d is not an exit code: exit codes are 0 to 255", number)
	}
	e, known := exits[number]
	switch {
	case known:
	case number > 128 && number <= 128+64:
		e = Entry{Means: fmt.Sprintf("Signal %d (%s) ended the command.", number-128, spec.SignalName(syscall.Signal(number-128)))}
	default:
		e = Entry{Means: "The command's own exit code. koordinator passes it on.", Mend: "See the log of the container."}
	}
	e.Subject = fmt.Sprintf("exit code %d", number)
	return []Entry{e}, nil
}

// sentence explains a text that koordinator writes.
type sentence struct {
	has string // the substring that identifies the text
	Entry
}

// sentences lists texts without a code from termination messages, events and logs. The
// first entry that matches explains a text.
var sentences = []sentence{
	{spec.HeldTooLong, Entry{
		Means: "When the pod was deleted, the container held its stop request for containers that depend on it, and passed it on because the grace period left no more time.",
		Mend:  "Set a longer terminationGracePeriodSeconds, or find out why the other containers take so long to stop: kubectl koordinator timeline POD.",
	}},
	{spec.NotStarted, Entry{Subject: "command not started", Means: "The wrapper ended without running the command. The rest of the message is the reason, and the exit code shows its kind.", Mend: "Explain the exit code: kubectl koordinator explain 69."}},
	{spec.StoppedBy, Entry{Subject: "stopped", Means: "koordinator stopped the command because a stop dependency held. The rest of the message names it. The reported exit code is stopped-exit-code.", Mend: "No action is required."}},
	{spec.KilledBy, Entry{Subject: "killed", Means: "koordinator stopped the command because a stop dependency held, and killed it because it did not end within stop-timeout. The reported exit code is killed-exit-code.", Mend: "Set a longer stop-timeout, or let the command handle the stop signal."}},
	{"waiting ", Entry{Subject: "waiting for …", Means: "The container waits for its start dependencies. Until then its startup probe fails on purpose, so that it is not ready. The message names what it waits for and for how long.", Mend: "No action is required, unless what it waits for does not come: kubectl koordinator status POD."}},
	{"Startup probe failed", Entry{Subject: "Startup probe failed", Means: "Kubernetes reports that a container with start dependencies has not started its command. koordinator's startup probe (the gate) fails while the container waits.", Mend: "See what it waits for: kubectl koordinator status POD."}},
}

// message explains a koordinator text that has no code.
func message(text string) []Entry {
	for _, s := range sentences {
		short := strings.TrimPrefix(strings.TrimSpace(s.has), spec.Sign)
		if strings.Contains(text, short) {
			e := s.Entry
			if e.Subject == "" {
				e.Subject = short
			}
			return []Entry{e}
		}
	}
	return nil
}
