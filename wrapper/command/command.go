// Package command is the command line of koordinator: what its first argument,
// or the name by which it is called, asks for. Both programs are made of it; one
// of them has the network linked in.
package command

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"koordinator.io/koordinator/wrapper/compat"
	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// command is one invocation and what it may touch.
type command struct {
	name           string   // by which it was called, argv[0]
	args           []string // the rest
	getenv         func(string) string
	environ        []string
	stdout, stderr io.Writer
	recordDir      string // where the webhook mounts the place of this container's record
	peersDir       string // and those of all containers
	message        string // the default termination message's file
	api            func(getenv func(string) string) (podstatus.Config, error)
	linked         Network // nil: it is another program
}

// Network performs a task of the network program: package network.
type Network func(task string, in io.Reader, out, stderr io.Writer, logger func(container, level string) *slog.Logger) int

const usage = `usage: koordinator [--] COMMAND [ARGUMENT…]          run COMMAND as KOORDINATOR_SPEC says
       koordinator install [--without-network] DIR [RECORDS [NAME…]]
                                                     copy koordinator and koordinator-net to DIR;
                                                     make places for records in RECORDS, emptied
       koordinator gate                              block until this container's command runs
       koordinator prestop                           run this container's preStop hook
       koordinator probe liveness|readiness          answer this container's probe
       koordinator status [-o json]                  print what the containers of the pod do
       koordinator version                           print the version
`

// Main runs this process's invocation and returns its exit code. A program that
// has the network linked in gives it.
func Main(linked Network) int {
	c := fromProcess()
	c.linked = linked
	return c.main()
}

// fromProcess is the invocation this process is.
func fromProcess() command {
	return command{
		name:      os.Args[0],
		args:      os.Args[1:],
		getenv:    os.Getenv,
		environ:   os.Environ(),
		stdout:    os.Stdout,
		stderr:    os.Stderr,
		recordDir: spec.RecordDir,
		peersDir:  spec.PeersDir,
		message:   spec.Message,
		api:       podstatus.FromCluster,
	}
}

// main runs the invocation and returns the exit code.
func (c command) main() int {
	switch {
	case filepath.Base(c.name) == spec.NetworkName:
		return c.task()
	case filepath.Base(c.name) == "cp":
		return c.copy()
	case filepath.Base(c.name) == "copy": // HBT koordinator's image has it
		return c.install(c.args)
	case compat.IsProa(c.name):
		return c.proa()
	case compat.IsKubexit(c.name, c.getenv):
		return c.kubexit()
	}
	if other := c.other(); other != nil { // these end by signals as programs do
		if asksForHelp(c.args[1:]) {
			other = c.help
		}
		return other(c.args[1:])
	}
	if err := c.mistyped(); err != nil {
		c.leaveMessage(spec.Default(), spec.NotStarted+err.Error())
		return c.fail(spec.ExitBadConfig, err.Error())
	}
	argv := c.args
	if len(argv) > 0 && argv[0] == "--" {
		argv = argv[1:]
	}
	return c.run(argv)
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
	case "prestop":
		return c.prestop
	case "probe":
		return c.probe
	case "status":
		return c.status
	case "version", "--version":
		return func([]string) int { fmt.Fprintln(c.stdout, "koordinator", spec.Release); return 0 }
	case "help", "--help", "-h":
		return c.help
	default:
		return nil
	}
}

func (c command) help([]string) int {
	fmt.Fprint(c.stdout, usage)
	return 0
}

func asksForHelp(args []string) bool {
	return slices.Contains(args, "--help") || slices.Contains(args, "-h")
}

// complain writes a sentence to standard error where signals are caught: it gives
// up if nobody reads, and at once when a signal comes.
func (c command) complain(sentence string, signals <-chan os.Signal) {
	w := newLogWriter(c.stderr)
	fmt.Fprintln(w, "koordinator: "+sentence)
	w.flushUntil(time.After(refusalFlush), signals)
}

// fail ends a command that catches no signal.
func (c command) fail(code int, sentence string) int {
	fmt.Fprintln(c.stderr, "koordinator: "+sentence)
	return code
}

// install makes ready what the containers of a pod need: the programs, and a
// place for the record of each, without what an earlier sandbox left.
func (c command) install(args []string) int {
	without := len(args) > 0 && args[0] == spec.WithoutNetwork
	if without {
		args = args[1:]
	}
	if len(args) == 0 {
		return c.fail(spec.ExitBadConfig, "install wants a directory\n"+usage)
	}
	err := install(self, args[0], spec.BinaryName)
	if err == nil && !without && c.linked == nil {
		err = c.installNetwork(args[0])
	}
	if err == nil && len(args) > 1 {
		err = record.Prepare(args[1], args[2:])
	}
	if err != nil {
		c.leaveMessage(spec.Default(), "koordinator: "+err.Error())
		return c.fail(1, err.Error())
	}
	return 0
}
