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

Runs COMMAND when all other containers of the pod are ready, and stops them after COMMAND has exited.

  -g, --shutdown-http-get URL    send a GET request to URL after COMMAND has exited; can be repeated
  -p, --shutdown-http-post URL   send a POST request to URL after COMMAND has exited; can be repeated
  -k, --kill NAME                then send SIGTERM to processes with this name; can be repeated
  -K, --kill-all                 then send SIGTERM to all other processes
  -h, --help                     print this help
  -V, --version                  print the version
`

// Proa contains the settings of a proa command line.
type Proa struct {
	// Spec has the requests in ExitHTTP. It has no start dependencies, because the
	// names of the containers come from the pod (WaitFor).
	Spec      spec.Spec
	Command   []string
	KillNames []string
	KillAll   bool
	Help      bool // requested instead; nothing else is then set
	Version   bool // likewise
}

// WaitFor returns the spec of a container that waits until all of these are
// ready: the other regular containers of its pod.
func (p Proa) WaitFor(others []string) spec.Spec {
	s := p.Spec
	s.StartDeps = nil
	for _, name := range others {
		s.StartDeps = append(s.StartDeps, spec.Dependency{Container: name, Condition: spec.Ready})
	}
	return s
}

// ParseProa parses proa's command line, without the program's name, and its
// RUST_LOG. As in proa, options may also follow the command, up to the first
// "--". The error is a spec.Problems that lists every problem.
//
// The spec has no restart policy: proa stops the other containers when its
// command has exited, regardless of the policy.
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

// proaParser is the state of parsing a command line.
type proaParser struct {
	Proa

	problems spec.Problems
}

func (p *proaParser) add(option, format string, args ...any) {
	p.problems = append(p.problems, spec.Problem{Field: option, Text: fmt.Sprintf(format, args...)})
}

// longNames maps the options' letters to their names.
var longNames = map[byte]string{
	'g': "--shutdown-http-get",
	'p': "--shutdown-http-post",
	'k': "--kill",
	'K': "--kill-all",
	'h': "--help",
	'V': "--version",
}

// take parses the first of args with its value, and returns the rest.
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

// letters parses options in their short form, for example -Kg=URL.
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

// flag reports whether an option has no value.
func flag(name string) bool {
	return name == "--kill-all" || name == "--help" || name == "--version"
}

// option parses one option. Its value is the next argument unless given is
// true.
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

// set parses an option without a value.
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

// request parses a URL like proa, whose client also accepts one without a path.
func (p *proaParser) request(option, method, address string) {
	r, err := spec.ParseRequest(method + " " + address)
	if u, perr := url.Parse(address); err != nil || perr != nil || u.Opaque != "" {
		p.add(option, "%q is no URL of a server: write scheme, host and port, as http://localhost:8080/shutdown", address)
		return
	}
	p.Spec.ExitHTTP = append(p.Spec.ExitHTTP, r)
}

// kill parses a process's name.
func (p *proaParser) kill(option, name string) {
	if !isFileName(name) {
		p.add(option, "%q is no name of a process: write the base name of its executable, as envoy", name)
		return
	}
	p.KillNames = append(p.KillNames, name)
}

// rustLevel returns the level for proa in a RUST_LOG such as "info",
// "proa=debug" or "warn,proa::k8s=trace": the level of the target proa,
// otherwise the general one.
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
