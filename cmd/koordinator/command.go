package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"koordinator.io/koordinator/wrapper/podwatch"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// How long the gate blocks before it fails once with a sentence. The first comes
// soon, for whoever looks; the others seldom, since the kubelet has few events
// per pod to give.
const (
	gateFirst = 2 * time.Second
	gateFor   = 30 * time.Second
)

// command is one invocation and what it may touch.
type command struct {
	args           []string // without the program's name
	getenv         func(string) string
	environ        []string
	stdout, stderr io.Writer
	recordDir      string // where the webhook mounts a place for the record
	api            func(getenv func(string) string) (podwatch.Config, error)
}

const usage = `usage: koordinator [--] COMMAND [ARGUMENT…]   run COMMAND as KOORDINATOR_SPEC says
       koordinator install DIR                copy this binary to DIR/koordinator
       koordinator gate                       block until this container's command runs
       koordinator version                    print the version
`

// fromProcess is the invocation this process is.
func fromProcess() command {
	return command{
		args:      os.Args[1:],
		getenv:    os.Getenv,
		environ:   os.Environ(),
		stdout:    os.Stdout,
		stderr:    os.Stderr,
		recordDir: spec.RecordDir,
		api:       podwatch.FromCluster,
	}
}

// main runs the invocation and returns the exit code.
func (c command) main(signals, children <-chan os.Signal) int {
	if other := c.other(); other != nil {
		signal.Reset() // these end by signals as programs do
		return other(c.args[1:])
	}
	argv := c.args
	if len(argv) > 0 && argv[0] == "--" {
		argv = argv[1:]
	}
	return c.run(argv, signals, children)
}

// other is what the first argument names if it is not a command to run.
func (c command) other() func(args []string) int {
	if len(c.args) == 0 {
		return nil
	}
	switch c.args[0] {
	case "install":
		return c.install
	case "gate":
		return c.gate
	case "version", "--version":
		return func([]string) int { fmt.Fprintln(c.stdout, "koordinator", spec.Release); return 0 }
	case "help", "--help", "-h":
		return func([]string) int { fmt.Fprint(c.stdout, usage); return 0 }
	default:
		return nil
	}
}

func (c command) fail(code int, sentence string) int {
	fmt.Fprintln(c.stderr, "koordinator: "+sentence)
	return code
}

func (c command) install(args []string) int {
	if len(args) != 1 {
		return c.fail(spec.ExitBadConfig, fmt.Sprintf("install wants one directory, have %q\n%s", args, usage))
	}
	if err := install("/proc/self/exe", args[0]); err != nil {
		leaveMessage(spec.Message, "koordinator: "+err.Error())
		return c.fail(1, err.Error())
	}
	return 0
}

// gate speaks on stdout: the kubelet shows a failed probe's output in the pod's
// events.
func (c command) gate([]string) int {
	if err := record.Gate(c.recordDir, gateFirst, gateFor); err != nil {
		fmt.Fprintln(c.stdout, err)
		return 1
	}
	return 0
}
