// Package command is the command line of koordinator. Its first argument, or
// the name by which it is called, selects the task. Both programs use it; only
// one of them has the network linked in.
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

// command is one invocation with its environment.
type command struct {
	name           string   // the name by which it was called, argv[0]
	args           []string // the other arguments
	getenv         func(string) string
	environ        []string
	stdout, stderr io.Writer
	recordDir      string // where the webhook mounts the directory of this container's record
	peersDir       string // where it mounts the directories of all records
	message        string // the file of the default termination message
	api            func(getenv func(string) string) (podstatus.Config, error)
	linked         Network // nil: only the other program has it
}

// Network performs a task of the network program. Package network implements
// it.
type Network func(task string, in io.Reader, out, stderr io.Writer, logger func(container, level string) *slog.Logger) int

const usage = `usage: koordinator [--] COMMAND [ARGUMENT…]          run COMMAND according to KOORDINATOR_SPEC
       koordinator install [--without-network] DIR [RECORDS [NAME…]]
                                                     copy koordinator and koordinator-net to DIR;
                                                     clear RECORDS, and create a directory for each NAME
       koordinator gate                              wait until this container's command runs
       koordinator prestop                           run this container's preStop hook
       koordinator probe liveness|readiness          run this container's probe
       koordinator status [-o json]                  print the state of the pod's containers
       koordinator version                           print the version
`

// Main runs this process's invocation and returns its exit code. linked is not
// nil in the program that has the network linked in.
func Main(linked Network) int {
	c := fromProcess()
	c.linked = linked
	return c.main()
}

// fromProcess returns the invocation of this process.
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
	case filepath.Base(c.name) == "copy": // in HBT koordinator's image
		return c.install(c.args)
	case compat.IsProa(c.name):
		return c.proa()
	case compat.IsKubexit(c.name, c.getenv):
		return c.kubexit()
	}
	if other := c.other(); other != nil { // signals end these, like ordinary programs
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

// other returns the function for the first argument, or nil if that is a
// command to run.
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

// complain writes a sentence to standard error while signals are caught. It
// gives up if nothing reads the sentence, and immediately when a signal
// arrives.
func (c command) complain(sentence string, signals <-chan os.Signal) {
	w := newLogWriter(c.stderr)
	fmt.Fprintln(w, "koordinator: "+sentence)
	w.flushUntil(time.After(refusalFlush), signals)
}

// fail ends an invocation that does not catch signals.
func (c command) fail(code int, sentence string) int {
	fmt.Fprintln(c.stderr, "koordinator: "+sentence)
	return code
}

// install prepares the volumes that the containers of a pod need: it copies the
// programs, and creates a directory for each record without leftovers from an
// earlier sandbox.
func (c command) install(args []string) int {
	without := len(args) > 0 && args[0] == spec.WithoutNetwork
	if without {
		args = args[1:]
	}
	if len(args) == 0 {
		return c.fail(spec.ExitBadConfig, "install requires a directory\n"+usage)
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
