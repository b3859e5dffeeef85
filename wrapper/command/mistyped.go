package command

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/spec"
)

// subcommands are the names that the first argument can have instead of a
// program's.
var subcommands = []string{"install", "gate", "prestop", "probe", "status", "version", "help"}

// typos is the maximum number of letters by which a mistyped subcommand differs
// from the correct one.
const typos = 2

// mistyped returns the reason why the first argument is a mistake rather than a
// program: it is an option, or it resembles a subcommand and no program of that
// name exists. After "--", a program of any name can be run.
func (c command) mistyped() error {
	if len(c.args) == 0 || c.args[0] == "--" {
		return nil
	}
	word := c.args[0]
	if strings.HasPrefix(word, "-") {
		return fmt.Errorf("unknown option %q: see koordinator --help, or write koordinator -- %s to run a program of that name", word, word)
	}
	if strings.Contains(word, "/") {
		return nil
	}
	if _, err := process.Find(word, c.environ, ""); !errors.Is(err, syscall.ENOENT) {
		return nil // it exists, or running it reports the problem
	}
	for _, name := range subcommands {
		if spec.Distance(word, name) <= typos {
			return fmt.Errorf("unknown command %q: did you mean %q? Write koordinator -- %s to run a program of that name", word, name, word)
		}
	}
	return nil
}
