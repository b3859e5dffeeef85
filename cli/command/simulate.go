package command

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/cli/simulate"
	"koordinator.io/koordinator/cli/timeline"
)

// script holds the options of simulate about commands.
type script struct {
	fail, end, run, ready, stop []string
	delete                      string
	all                         bool
}

// newSimulate returns the command that runs a pod on a virtual clock.
func newSimulate() *cobra.Command {
	var s script
	cmd := &cobra.Command{
		Use:   "simulate [TARGET…]",
		Short: "Show what happens to a pod if a container fails, hangs or is slow",
		Long: fmt.Sprintf(`Simulate a pod on a virtual clock. In each container, the state machine of the wrapper
makes the decisions. A simulated kubelet starts, stops and restarts the containers
according to their restart policies.

Times after @ count from the beginning of the simulation. Unless options specify
otherwise, the following applies:

  * The command of an init container succeeds after %s.
  * The command of any other container succeeds after %s. If the container always
    restarts or has stop dependencies, its command runs until it is stopped.
  * A container with probes is ready %s after its start. Other containers are ready
    immediately.
  * A command exits with code 0, %s after its stop signal.
  * Hooks, requests, files and endpoints succeed immediately, and images are present.
  * The state of a container that is not wrapped becomes visible in the pod's status after
    a delay of %s.

Each container restarts at most %d times. The exit code is 1 if a container hangs, that is,
if the pod does not end although its restart policy allows this.

--all explores all possible runs of the pod instead, in which commands succeed or fail at
any time. For each container that could hang, it prints a shortest run that leads to the
hang.`,
			simulate.InitTime, simulate.WorkTime, simulate.ReadyTime, simulate.StopTime, simulate.Sight, simulate.Restarts),
		Example: `  kubectl koordinator simulate -f job.yaml
  kubectl koordinator simulate -f job.yaml --fail proxy@3s
  kubectl koordinator simulate -f job.yaml --ready proxy=never --run main=2s:4
  kubectl koordinator simulate -f deployment.yaml --delete @10s --stop web=never
  kubectl koordinator simulate -f job.yaml --all`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	from := sourceFlags(cmd)
	s.flags(cmd)
	output := outputFlag(cmd, "text", "log", "chain", "json", "svg", "html")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := output()
		if err != nil {
			return err
		}
		all, err := from.orders(cmd, args)
		if err != nil {
			return err
		}
		if s.all {
			return explored(cmd, all)
		}
		return s.simulate(cmd, format, all)
	}
	return cmd
}

// flags adds the options.
func (s *script) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&s.fail, "fail", nil, "CONTAINER@TIME[:CODE]: the command exits at this time with CODE, by default 1; can be repeated")
	f.StringArrayVar(&s.end, "exit", nil, "CONTAINER@TIME[:CODE]: the command exits at this time with CODE, by default 0; can be repeated")
	f.StringArrayVar(&s.run, "run", nil, "CONTAINER=TIME[:CODE]: the command exits this time after each start with CODE, by default 0; TIME can be never; can be repeated")
	f.StringArrayVar(&s.ready, "ready", nil, "CONTAINER=TIME: the container is ready this time after each start; ENDPOINT=TIME: the endpoint of a start dependency responds from this time of the simulation on; TIME can be never; can be repeated")
	f.StringArrayVar(&s.stop, "stop", nil, "CONTAINER=TIME: the command exits this time after its stop signal; TIME can be never; can be repeated")
	f.StringVar(&s.delete, "delete", "", "@TIME: the pod is deleted at this time")
	f.BoolVar(&s.all, "all", false, "explore all possible runs of the pod, and print the containers that could hang")
}

// simulate simulates the pods and prints the results.
func (s *script) simulate(cmd *cobra.Command, format string, all []ordered) error {
	var lines []timeline.Timeline
	var hangs []string
	for _, o := range all {
		parsed, err := s.parse(o.order)
		if err != nil {
			return usageError{err}
		}
		outcome := simulate.Pod(o.title, o.order, parsed)
		for _, text := range outcome.Unused {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: %s\n", o.title, text)
		}
		lines = append(lines, timeline.Of(outcome.History))
		for _, h := range outcome.Hangs {
			hangs = append(hangs, o.title+": "+h)
		}
	}
	if err := printTimelines(cmd.OutOrStdout(), format, lines, all); err != nil {
		return err
	}
	if len(hangs) > 0 {
		return badAnswer{errors.New("the pod does not end: " + strings.Join(hangs, "\n"))}
	}
	return nil
}

// explored explores every possible run of the pods.
func explored(cmd *cobra.Command, all []ordered) error {
	found := 0
	for _, o := range all {
		hangs, ok := simulate.All(o.order)
		if !ok {
			return fmt.Errorf("%s has too many containers to explore every run: simulate single runs without --all", o.title)
		}
		for _, h := range hangs {
			found++
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", o.title, h)
		}
		if len(hangs) == 0 {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: no container can hang\n", o.title)
		}
	}
	if found > 0 {
		return badAnswer{errReported}
	}
	return nil
}

// parse converts the options into a script for a pod.
func (s *script) parse(o order.Order) (simulate.Script, error) {
	p := simulate.Script{Delete: simulate.Never}
	var err error
	if s.delete != "" {
		text, at := strings.CutPrefix(s.delete, "@")
		if !at {
			return p, fmt.Errorf("--delete %s: want @TIME, for example @10s", s.delete)
		}
		if p.Delete, err = duration(text); err != nil {
			return p, fmt.Errorf("--delete %s: %w", s.delete, err)
		}
	}
	r := reader{order: o}
	p.Ends = r.ends("--fail", s.fail, "@", 1)
	maps.Copy(p.Ends, r.ends("--exit", s.end, "@", 0))
	p.Runs = r.ends("--run", s.run, "=", 0)
	p.Ready = r.times("--ready", s.ready)
	p.Stops = r.times("--stop", s.stop)
	return p, errors.Join(r.problems...)
}
