package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// containerStatus is one container in the output of "koordinator status -o json".
type containerStatus struct {
	Container string     `json:"container"`
	State     string     `json:"state"`           // a record's phase, "exited", "restarting", "pending", "killed", or "unknown"
	Ready     bool       `json:"ready"`           // as in the record
	Stopping  bool       `json:"stopping"`        // it has received a stop request
	For       []string   `json:"for,omitempty"`   // what it waits for
	Since     *time.Time `json:"since,omitempty"` // when the state began; nil if no wrapper could record it
	ExitCode  *int       `json:"exitCode,omitempty"`
	Reason    string     `json:"reason,omitempty"` // why it ended, or why the state is unknown

	age time.Duration // of the state
}

// status prints the state of each container that keeps a record.
func (c command) status(args []string) int {
	asJSON, err := outputJSON(args)
	if err != nil {
		return c.fail(spec.ExitBadConfig, err.Error())
	}
	entries, err := os.ReadDir(c.peersDir)
	if err != nil {
		return c.fail(1, fmt.Sprintf("read the records: %v: run this in a container that koordinator was injected into", err))
	}
	all := []containerStatus{}
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, statusOf(e.Name(), filepath.Join(c.peersDir, e.Name())))
		}
	}
	if asJSON {
		enc := json.NewEncoder(c.stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(all)
	} else {
		err = c.table(all)
	}
	if err != nil {
		return c.fail(1, err.Error())
	}
	return 0
}

// outputJSON parses the arguments of status.
func outputJSON(args []string) (bool, error) {
	text := strings.Join(args, " ")
	format, given := strings.CutPrefix(text, "-o")
	format = strings.TrimLeft(format, " =")
	switch {
	case text == "":
		return false, nil
	case !given:
		return false, fmt.Errorf("unknown argument %q: status takes -o json, or nothing", text)
	case format != "json":
		return false, fmt.Errorf("unknown output format %q: the only format is json; without -o status prints a table", format)
	}
	return true, nil
}

// statusOf returns the state according to the record in dir.
func statusOf(name, dir string) containerStatus {
	s := containerStatus{Container: name, State: "unknown"}
	p, err := record.Read(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		s.State, s.Reason = "pending", "its wrapper has not run yet"
		return s
	case err != nil:
		s.Reason = err.Error()
		return s
	}
	s.State, s.Ready, s.Stopping, s.For, s.Since = p.Phase, p.Ready, p.Stopping, p.For, &p.StateSince.Wall
	s.Reason = p.Trouble
	switch {
	case p.Exit != nil:
		s.State, s.ExitCode, s.Reason = "exited", &p.Exit.Code, strings.TrimPrefix(p.Exit.Reason, spec.NotStarted)
		if !p.Exit.ForGood {
			s.State = "restarting"
		}
	case p.Gone() && p.Process != nil:
		s.Since = nil
		s.State = "unknown" // it replaced the wrapper, and may have closed the record
		s.Reason = "its command took the wrapper's place and keeps no record"
	case p.Gone():
		s.State, s.Ready, s.Since = "killed", false, nil
	}
	if s.Since != nil {
		s.age = p.StateSince.Age()
	}
	return s
}

// table prints the states as a table.
func (c command) table(all []containerStatus) error {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "CONTAINER\tSTATE\tREADY\tAGE\tDETAIL")
	for _, s := range all {
		ready, age := "no", "-"
		if s.Ready {
			ready = "yes"
		}
		if s.Since != nil {
			age = s.age.Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Container, s.State, ready, age, s.detail())
	}
	return w.Flush()
}

// detail returns the information beyond the state.
func (s containerStatus) detail() string {
	var parts []string
	if s.ExitCode != nil {
		parts = append(parts, fmt.Sprintf("exit code %d", *s.ExitCode))
	}
	if len(s.For) > 0 {
		parts = append(parts, "for "+strings.Join(s.For, ", "))
	}
	if s.Stopping && s.ExitCode == nil {
		parts = append(parts, "asked to stop")
	}
	if s.Reason != "" {
		parts = append(parts, s.Reason)
	}
	return strings.Join(parts, "; ")
}
