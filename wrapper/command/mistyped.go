package command

import (
	"fmt"
	"strings"
	"syscall"

	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/spec"
)

// subcommands are what the first argument can name instead of a program.
var subcommands = []string{"install", "gate", "prestop", "probe", "status", "version", "help"}

// typos is the most letters by which a mistyped subcommand differs from it.
const typos = 2

// mistyped is why the first argument is a mistake and no program: it is an
// option, or nearly a subcommand and not to be found. A program of any name can
// be run after "--".
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
	if _, err := process.Find(word, c.environ, ""); err != syscall.ENOENT {
		return nil // it is there, or running it says what is wrong with it
	}
	for _, name := range subcommands {
		if spec.Distance(word, name) <= typos {
			return fmt.Errorf("unknown command %q: did you mean %q? Write koordinator -- %s to run a program of that name", word, name, word)
		}
	}
	return nil
}
