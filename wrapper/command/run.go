package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"koordinator.io/koordinator/wrapper"
	"koordinator.io/koordinator/wrapper/envfile"
	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// run runs the container's command according to its spec.
func (c command) run(argv []string) int {
	heard := process.Signals() // first: before that, a signal would end this process
	s, err := c.spec()
	if err != nil {
		return c.refuse(s, err, heard)
	}
	words, err := s.CommandOn(runtime.GOOS + "/" + runtime.GOARCH)
	if err != nil {
		return c.refuse(s, err, heard)
	}
	return c.supervise(wrapper.Config{Spec: s}, slices.Concat(words, argv), heard)
}

// supervise runs a command until it ends. config contains the caller's part of
// the configuration.
func (c command) supervise(config wrapper.Config, argv []string, heard process.Heard) int {
	s := config.Spec
	if s.RequestSignal != 0 {
		heard.Also(s.RequestSignal)
	}
	if s.Mode != spec.ExecMode || s.Waits() { // otherwise nothing would pass them on
		process.Reserve()
		heard.Common()
		config.CatchAll = heard.Rest
	}
	debug.SetGCPercent(50)              // a heap of at least 2 MiB, not 4
	debug.SetMemoryLimit(math.MaxInt64) // limits in the environment are meant for the command
	out := newLogWriter(c.stderr)
	defer out.flush()
	config.Signals, config.Children = heard.Signals, heard.Children
	if err := c.complete(&config, argv, out); err != nil {
		return c.refuse(s, err, heard)
	}
	code, why := wrapper.Run(config)
	if why != "" {
		c.leaveMessage(s, why)
	}
	return code
}

// refuse ends an invalid invocation.
func (c command) refuse(s spec.Spec, err error, heard process.Heard) int {
	sentence := strings.ReplaceAll(err.Error(), "\n", "; ")
	c.leaveMessage(s, spec.NotStarted+sentence)
	c.complain(sentence, heard.Signals)
	return spec.ExitBadConfig
}

// spec returns the container's spec from the environment. With an error, it
// contains what could be parsed.
func (c command) spec() (spec.Spec, error) {
	name, text := spec.Env, c.getenv(spec.Env)
	if other := c.getenv(spec.EnvMisspelt); other != "" {
		if text != "" {
			return spec.Default(), fmt.Errorf("%s and %s are both set: keep %s", spec.Env, spec.EnvMisspelt, spec.Env)
		}
		name, text = spec.EnvMisspelt, other
	}
	if text == "" {
		return spec.Default(), nil
	}
	s, err := spec.Parse(text)
	if err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// complete completes the configuration of a run.
func (c command) complete(config *wrapper.Config, argv []string, out *logWriter) (err error) {
	log := logger(out, config.Spec)
	if len(argv) == 0 {
		return errors.New("no command given: koordinator -- COMMAND [ARGUMENT…]")
	}
	if err := process.Subreaper(); err != nil {
		log.Info("orphans of the command are not reaped", "error", err)
	}
	config.Terminal = process.Terminal()
	config.Log = log
	config.Record = openRecord(c.recordDir, c.peersDir, config.Spec, log)
	notices, err := c.notices(config)
	if err != nil {
		return err
	}
	config.Kernel = kernel{argv, c.childEnviron(config.Spec), notices, process.LeaveDir(), c.networkPath(), out}
	config.Files = func() ([]envfile.Variable, error) { return envfile.Read(config.Spec.EnvFiles, reserved(config.Spec)) }
	config.Handlers = c.handlers()
	config.Records = record.Peers{Dir: c.peersDir, Names: config.Spec.Wrapped, Run: record.Run(config.Record, c.peersDir), Log: log}
	config.Status, err = c.statusSource(*config)
	return err
}

// statusSource returns the function that watches the pod through the API
// server. If the status is needed from the start, missing access to it is an
// error. If the status is only the last resort, missing access is logged at
// that time.
func (c command) statusSource(config wrapper.Config) (wrapper.Status, error) {
	if wrapper.NeedsStatus(config.Spec, config.Tombstones) {
		if _, err := c.api(c.getenv); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, network spec.Network, out chan<- podstatus.Snapshot) error {
		api, err := c.api(c.getenv)
		if err != nil {
			config.Log.Error("a container has left no record, and the pod's status cannot be read", "error", err)
			return err
		}
		api.Container, api.LogLevel = config.Spec.Container, config.Spec.LogLevel
		api.Watch(ctx, network, config.Log, out)
		return nil
	}, nil
}

// commandEnviron returns the command's environment.
func (k kernel) commandEnviron(variables []envfile.Variable) []string {
	return envfile.Over(envfile.Over(k.environ, variables), k.own)
}

// kernel runs one command, and hooks and probes alongside it, with package
// process.
type kernel struct {
	argv, environ []string
	own           []envfile.Variable // added to the environment of the command only
	dir           string             // the container's working directory; "": the wrapper's
	net           string             // the network program
	log           *logWriter
}

func (k kernel) Start(variables []envfile.Variable) (wrapper.Child, error) {
	child, err := process.Start(process.Command{Argv: k.argv, Env: k.commandEnviron(variables), Dir: k.dir, Terminal: process.Terminal()})
	if err != nil {
		return nil, err
	}
	return child, nil
}

func (k kernel) Replace(variables []envfile.Variable, goOn func() bool) error {
	k.log.flush()
	return process.Replace(process.Command{Argv: k.argv, Env: k.commandEnviron(variables), Dir: k.dir}, goOn)
}

func (k kernel) Run(argv []string) (wrapper.Helper, error) {
	out, err := process.NewOutput()
	if err != nil {
		return nil, err
	}
	child, err := process.Start(process.Command{Argv: argv, Env: k.environ, Dir: k.dir, Output: out})
	out.Started()
	if err != nil {
		out.LastLine()
		return nil, err
	}
	return helper{child, out}, nil
}

func (k kernel) Network(task string, input []byte) (wrapper.Program, error) {
	d, err := process.NewDialog(input)
	if err != nil {
		return nil, err
	}
	child, err := process.Start(networkCommand(k.net, task, d))
	if err != nil {
		d.Close()
		return nil, err
	}
	d.Started()
	return program{child, d}, nil
}

// helper is a hook or probe with its output.
type helper struct {
	*process.Child
	*process.Output
}

func (k kernel) Reap() []process.Exit { return process.Reap() }

// openRecord creates this incarnation's record if the webhook has mounted a
// directory for it.
func openRecord(dir, peers string, s spec.Spec, log *slog.Logger) *record.Record {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	r, err := record.Create(dir, peers, s.Restart)
	if err != nil {
		log.Error("record not made: the container will not become ready", "error", err)
		return nil
	}
	return r
}

// ownVariables are the variables for the wrapper, which the command does not
// receive.
var ownVariables = []string{spec.Env, spec.EnvMisspelt, spec.EnvPodName, spec.EnvPodNamespace, spec.EnvPodIP}

// childEnviron returns the environment without the wrapper's own variables, and
// with those in the spec's Environ, which were kept from the wrapper.
func (c command) childEnviron(s spec.Spec) []string {
	var environ []string
	for _, variable := range c.environ {
		name, _, _ := strings.Cut(variable, "=")
		value, kept := s.Environ[name]
		switch {
		case kept:
			environ = append(environ, name+"="+value)
		case !slices.Contains(ownVariables, name):
			environ = append(environ, variable)
		}
	}
	return environ
}

// leaveMessage writes the termination message unless the command has left one.
// It does not write to a path other than the default, because such a path
// belongs to a protocol whose reader expects different content. The kubelet
// creates the file; if it is missing, nothing reads the message.
func (c command) leaveMessage(s spec.Spec, sentence string) {
	if s.MessagePath != spec.Message {
		return
	}
	f, err := os.OpenFile(c.message, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		fmt.Fprintln(f, sentence)
	}
}
