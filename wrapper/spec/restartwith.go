package spec

import (
	"bytes"
	"encoding/json"
	"strings"
)

// parseNames parses "a, b", or a list of container names.
func parseNames(v json.RawMessage, to *[]string) error {
	if v = bytes.TrimSpace(v); len(v) > 0 && v[0] == '[' {
		return strict(v, to)
	}
	text, err := scalar(v)
	if err != nil {
		return wrong(WrongForm, "", "Write a container, several containers separated by commas, or a list", "%.40s is not a list of containers", v)
	}
	for part := range strings.SplitSeq(text, ",") {
		*to = append(*to, strings.TrimSpace(part))
	}
	return nil
}

// checkRestartWith finds invalid names, and a restart policy that does not
// start the container again.
func (p *parser) checkRestartWith() {
	if len(p.spec.RestartWith) == 0 {
		return
	}
	seen := map[string]bool{}
	for _, name := range p.spec.RestartWith {
		switch {
		case !IsName(name) || name == "":
			p.add("restartWith", InvalidDependency, name, `Use lowercase letters, digits and "-"`, "%q is not a container name", name)
		case name == p.spec.Container:
			p.add("restartWith", OnItself, name, "Remove it", "container %q cannot restart with itself", name)
		case seen[name]:
			p.add("restartWith", NamedTwice, name, "Keep one", "container %q is listed twice", name)
		}
		seen[name] = true
	}
	if p.spec.Restart.ForGood(ExitRestart) {
		p.add("restartWith", NotRestarted, "", "Change the restart policy or its rules, or remove restartWith", "the restart policy does not start a container again that exited with code %d", ExitRestart)
	}
}
