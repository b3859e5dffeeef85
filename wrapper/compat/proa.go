package compat

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"koordinator.io/koordinator/wrapper/spec"
)

// ProaUsage is what proa --help shows.
const ProaUsage = `usage: proa [OPTION]… -- COMMAND [ARGUMENT…]

Runs COMMAND once all other containers of the pod are ready, and ends them after it.

  -g, --shutdown-http-get URL    GET this URL when COMMAND has exited; may be repeated
  -p, --shutdown-http-post URL   POST to this URL when COMMAND has exited; may be repeated
  -k, --kill NAME                send SIGTERM to the processes of this name then; may be repeated
  -K, --kill-all                 send SIGTERM to all other processes then
  -h, --help                     print this
  -V, --version                  print the version
`

// Proa is what a proa command line says.
type Proa struct {
	// Spec has the requests in ExitHTTP. It lacks the start dependencies: which
	// containers there are says the pod (WaitFor).
	Spec      spec.Spec
	Command   []string
	KillNames []string
	KillAll   bool
	Help      bool // asked for instead, nothing else is then set
	Version   bool // likewise
}

// WaitFor is the spec of a container that waits until all of these are ready:
// the regular containers of its pod but itself.
func (p Proa) WaitFor(others []string) spec.Spec {
	s := p.Spec
	s.StartDeps = nil
	for _, name := range others {
		s.StartDeps = append(s.StartDeps, spec.Dependency{Container: name, Condition: spec.Ready})
	}
	return s
}

// ParseProa reads proa's command line, without the program's name, and its
// RUST_LOG. As there, options may also stand behind the command, up to the first
// "--". The error is a spec.Problems with everything that is wrong.
//
// The spec knows no restart policy: whatever it is, proa ends the other
// containers when its command has exited.
func ParseProa(args []string, getenv func(string) string) (Proa, error) {
	p := proaParser{Proa: Proa{Spec: spec.Default()}}
	p.Spec.LogLevel = rustLevel(getenv("RUST_LOG"))
	for rest := args; len(rest) > 0; {
		rest = p.take(rest)
	}
	switch {
	case p.Help || p.Version:
		return Proa{Help: p.Help, Version: p.Version && !p.Help}, nil
	case len(p.Command) == 0 || p.Command[0] == "":
		p.add("", "no command given: write proa [OPTION]… -- COMMAND [ARGUMENT…]")
	}
	if len(p.problems) > 0 {
		return p.Proa, p.problems
	}
	return p.Proa, nil
}

// proaParser is what has been read of a command line.
type proaParser struct {
	Proa

	problems spec.Problems
}

func (p *proaParser) add(option, format string, args ...any) {
	p.problems = append(p.problems, spec.Problem{Field: option, Text: fmt.Sprintf(format, args...)})
}

// longNames are the options by their letters.
var longNames = map[byte]string{
	'g': "--shutdown-http-get",
	'p': "--shutdown-http-post",
	'k': "--kill",
	'K': "--kill-all",
	'h': "--help",
	'V': "--version",
}

// take reads the first of args, and its value, and returns the rest.
func (p *proaParser) take(args []string) []string {
	arg, rest := args[0], args[1:]
	switch {
	case arg == "--":
		p.Command = append(p.Command, rest...)
		return nil
	case strings.HasPrefix(arg, "--"):
		name, value, given := strings.Cut(arg, "=")
		return p.option(name, value, given, rest)
	case len(arg) < 2 || arg[0] != '-':
		p.Command = append(p.Command, arg)
		return rest
	}
	return p.letters(arg[1:], rest)
}

// letters reads options by their letters, as -Kg=URL.
func (p *proaParser) letters(letters string, rest []string) []string {
	name, ok := longNames[letters[0]]
	switch {
	case !ok:
		p.unknown("-" + letters)
		return rest
	case flag(name) && len(letters) > 1:
		p.option(name, "", false, nil)
		return p.letters(letters[1:], rest)
	}
	value := letters[1:]
	return p.option(name, strings.TrimPrefix(value, "="), value != "", rest)
}

// flag tells whether an option has no value.
func flag(name string) bool {
	return name == "--kill-all" || name == "--help" || name == "--version"
}

// option reads one option, whose value is the next argument unless given.
func (p *proaParser) option(name, value string, given bool, rest []string) []string {
	switch {
	case !slices.Contains([]string{"--shutdown-http-get", "--shutdown-http-post", "--kill"}, name):
		p.set(name, given)
		return rest
	case given:
	case len(rest) == 0 || strings.HasPrefix(rest[0], "-") && rest[0] != "-":
		p.add(name, "value missing: write %s=VALUE", name)
		return rest
	default:
		value, rest = rest[0], rest[1:]
	}
	switch name {
	case "--shutdown-http-get":
		p.request(name, "GET", value)
	case "--shutdown-http-post":
		p.request(name, "POST", value)
	default:
		p.kill(name, value)
	}
	return rest
}

// set reads an option that has no value.
func (p *proaParser) set(name string, given bool) {
	switch {
	case !flag(name):
		p.unknown(name)
	case given:
		p.add(name, "takes no value: remove it")
	case name == "--kill-all":
		p.KillAll = true
	case name == "--help":
		p.Help = true
	default:
		p.Version = true
	}
}

func (p *proaParser) unknown(option string) {
	p.add(option, "unknown option (known: --shutdown-http-get, --shutdown-http-post, --kill, --kill-all): put -- before the command if it is one of the command's")
}

// request reads a URL as proa does, whose client takes one without a path too.
func (p *proaParser) request(option, method, address string) {
	r, err := spec.ParseRequest(method + " " + address)
	if u, perr := url.Parse(address); err != nil || perr != nil || u.Opaque != "" {
		p.add(option, "%q is no URL of a server: write scheme, host and port, as http://localhost:8080/shutdown", address)
		return
	}
	p.Spec.ExitHTTP = append(p.Spec.ExitHTTP, r)
}

// kill reads a process's name.
func (p *proaParser) kill(option, name string) {
	if !isFileName(name) {
		p.add(option, "%q is no name of a process: write the base name of its executable, as envoy", name)
		return
	}
	p.KillNames = append(p.KillNames, name)
}

// rustLevel is the level that a RUST_LOG like "info", "proa=debug" or
// "warn,proa::k8s=trace" has for proa: what it says of proa, else of all.
func rustLevel(text string) string {
	chosen := ""
	for directive := range strings.SplitSeq(text, ",") {
		target, name, targeted := strings.Cut(strings.TrimSpace(directive), "=")
		switch {
		case targeted && strings.TrimSpace(target) == ProaName:
			return level(strings.TrimSpace(name))
		case !targeted:
			chosen = target
		}
	}
	return level(chosen)
}
