package command

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"koordinator.io/koordinator/wrapper/spec"
)

// invoked is an invocation with its output and termination message.
type invoked struct {
	command
	out, err bytes.Buffer
}

// invoke returns an invocation with a name, arguments and the text of a spec.
func invoke(t *testing.T, text, name string, args ...string) *invoked {
	t.Helper()
	dir := t.TempDir()
	i := &invoked{command: command{name: name, args: args, recordDir: filepath.Join(dir, "record"), peersDir: filepath.Join(dir, "peers"), message: filepath.Join(dir, "message")}}
	i.stdout, i.stderr = &i.out, &i.err
	i.environ = append(os.Environ(), spec.Env+"="+text)
	i.getenv = func(name string) string {
		if name == spec.Env {
			return text
		}
		return ""
	}
	if err := os.WriteFile(i.message, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

// left returns the termination message.
func (i *invoked) left(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(i.message)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestInvocationsThatRunNoCommand(t *testing.T) {
	version := "koordinator " + spec.Release + "\n"
	for name, tt := range map[string]struct {
		argv []string
		code int
		out  string // the complete output
		err  string // the beginning
		left string // the beginning of the termination message
	}{
		"the version":               {[]string{"koordinator", "version"}, 0, version, "", ""},
		"the version, as an option": {[]string{"/koordinator/bin/koordinator", "--version"}, 0, version, "", ""},
		"help":                      {[]string{"koordinator", "help"}, 0, usage, "", ""},
		"help, as an option":        {[]string{"koordinator", "--help"}, 0, usage, "", ""},
		"help, as a letter":         {[]string{"koordinator", "-h"}, 0, usage, "", ""},
		"help for a command, as its last argument": {[]string{"koordinator", "install", "/nowhere", "--help"}, 0, usage, "", ""},
		"help for a command without arguments":     {[]string{"koordinator", "version", "-h"}, 0, usage, "", ""},
		"an install without directory":             {[]string{"koordinator", "install"}, 64, "", "koordinator: install requires a directory\nusage: koordinator", ""},
		"an install without network nor one":       {[]string{"koordinator", "install", "--without-network"}, 64, "", "koordinator: install requires a directory\n", ""},
		"an install to nowhere leaves a reason":    {[]string{"koordinator", "install", "/nowhere"}, 1, "", "koordinator: install /nowhere/koordinator: ", "koordinator: install /nowhere/koordinator: "},
		"another image's copy":                     {[]string{"copy"}, 64, "", "koordinator: install requires a directory\n", ""},
		"another image's cp, of one":               {[]string{"/bin/cp", "/bin/kubexit"}, 64, "", `koordinator: cp wants a source and a target, have ["/bin/kubexit"]`, ""},
		"another image's cp, of three":             {[]string{"cp", "a", "b", "c"}, 64, "", `koordinator: cp wants a source and a target, have ["a" "b" "c"]`, ""},
		"another image's cp, of its shell":         {[]string{"cp", "/bin/sh", "/tools"}, 64, "", `koordinator: cp copies koordinator, kubexit or proa, have "/bin/sh"`, ""},
		"cp to nowhere":                            {[]string{"cp", "/bin/kubexit", "/nowhere/kubexit"}, 1, "", "koordinator: cp /nowhere/kubexit: ", ""},
		"the network program of the small one":     {[]string{"/koordinator/bin/koordinator-net", "watch"}, 64, "", "koordinator: /koordinator/bin/koordinator-net: this program has no network support: ", ""},
		"a probe without kind":                     {[]string{"koordinator", "probe"}, 64, "", "koordinator: probe wants liveness or readiness, have []", ""},
		"a probe of two kinds":                     {[]string{"koordinator", "probe", "liveness", "readiness"}, 64, "", `koordinator: probe wants liveness or readiness, have ["liveness" "readiness"]`, ""},
		"a status in another form":                 {[]string{"koordinator", "status", "-o", "yaml"}, 64, "", `koordinator: unknown output format "yaml"`, ""},
		"a status outside a pod":                   {[]string{"koordinator", "status"}, 1, "", "koordinator: read the records: ", ""},
		"a command with a typing mistake":          {[]string{"koordinator", "versoin"}, 64, "", `koordinator: unknown command "versoin": did you mean "version"?`, `koordinator: command not started: unknown command "versoin"`},
		"an unknown option":                        {[]string{"koordinator", "-x"}, 64, "", `koordinator: unknown option "-x"`, `koordinator: command not started: unknown option "-x"`},
	} {
		t.Run(name, func(t *testing.T) {
			i := invoke(t, "", tt.argv[0], tt.argv[1:]...)
			if code := i.main(); code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
			if i.out.String() != tt.out {
				t.Errorf("printed %q, want %q", i.out.String(), tt.out)
			}
			if have := i.err.String(); !strings.HasPrefix(have, tt.err) || (have == "") != (tt.err == "") {
				t.Errorf("complained %q, want %q…", have, tt.err)
			}
			if have := i.left(t); !strings.HasPrefix(have, tt.left) || (have == "") != (tt.left == "") {
				t.Errorf("left %q, want %q…", have, tt.left)
			}
		})
	}
}

// TestEverySubcommandIsInTheUsage compares the names of the suggestions with the help
// and the command line.
func TestEverySubcommandIsInTheUsage(t *testing.T) {
	for _, name := range subcommands {
		if (command{args: []string{name}}).other() == nil {
			t.Errorf("%s is run as a program", name)
		}
		if name != "help" && !strings.Contains(usage, "koordinator "+name) {
			t.Errorf("%s is not in the help", name)
		}
	}
	if (command{args: []string{"--"}}).other() != nil || (command{}).other() != nil {
		t.Error("a command line without a subcommand is one")
	}
}

func TestTheNetworkProgramIsGivenItsTask(t *testing.T) {
	i := invoke(t, "", "/somewhere/"+spec.NetworkName, spec.WatchTask)
	i.linked = func(task string, _ io.Reader, out, _ io.Writer, logger func(container, level string) *slog.Logger) int {
		_, _ = io.WriteString(out, task)
		logger("main", "error").Info("not written")
		logger("main", "info").Info("written")
		return 7
	}
	if code := i.main(); code != 7 || i.out.String() != spec.WatchTask {
		t.Errorf("code %d, printed %q", code, i.out.String())
	}
	if have := i.err.String(); !strings.Contains(have, "msg=written container=main") || strings.Contains(have, "not written") {
		t.Errorf("logged %q", have)
	}
	for _, args := range [][]string{nil, {spec.WatchTask, spec.RequestTask}} {
		i := invoke(t, "", spec.NetworkName, args...)
		i.linked = func(string, io.Reader, io.Writer, io.Writer, func(string, string) *slog.Logger) int { return 0 }
		if code := i.main(); code != spec.ExitBadConfig || !strings.Contains(i.err.String(), "with one task") {
			t.Errorf("%q: code %d, %q", args, code, i.err.String())
		}
	}
}
