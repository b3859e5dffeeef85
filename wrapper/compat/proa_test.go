package compat

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

// proa returns a command line's settings, with a change.
func proa(change func(*Proa), command ...string) Proa {
	p := Proa{Spec: spec.Default(), Command: command}
	change(&p)
	return p
}

func plain(*Proa) {}

func TestParseProa(t *testing.T) {
	get := spec.Request{Method: "GET", URL: "http://localhost:8080/shutdown"}
	post := spec.Request{Method: "POST", URL: "http://localhost:15020/quitquitquit"}
	sent := func(all ...spec.Request) func(*Proa) { return func(p *Proa) { p.Spec.ExitHTTP = all } }
	for _, tt := range []struct {
		name string
		args []string
		log  string
		want Proa
	}{
		{
			name: "as documented",
			args: []string{"--shutdown-http-get=http://localhost:8080/shutdown", "--", "curl", "-sSf", "http://localhost:8080/"},
			want: proa(sent(get), "curl", "-sSf", "http://localhost:8080/"),
		},
		{
			name: "values as arguments of their own, in the order given",
			args: []string{"--shutdown-http-post", post.URL, "--shutdown-http-get", get.URL, "--shutdown-http-post", post.URL, "--", "a"},
			want: proa(sent(post, get, post), "a"),
		},
		{name: "letters", args: []string{"-g", get.URL, "-p=" + post.URL, "-g" + get.URL, "a"}, want: proa(sent(get, post, get), "a")},
		{
			name: "killing",
			args: []string{"--kill", "envoy", "-kproxy", "--kill-all", "--", "a"},
			want: proa(func(p *Proa) { p.KillNames, p.KillAll = []string{"envoy", "proxy"}, true }, "a"),
		},
		{name: "letters together", args: []string{"-Kg", get.URL, "a"}, want: proa(func(p *Proa) { p.KillAll = true; sent(get)(p) }, "a")},
		{name: "a command without --", args: []string{"sleep", "60"}, want: proa(plain, "sleep", "60")},
		{name: "options behind the command", args: []string{"sleep", "60", "-g", get.URL}, want: proa(sent(get), "sleep", "60")},
		{name: "-- within the command", args: []string{"--", "sh", "--", "-g"}, want: proa(plain, "sh", "--", "-g")},
		{name: "-- behind the command", args: []string{"sh", "--", "-c", "--kill-all"}, want: proa(plain, "sh", "-c", "--kill-all")},
		{name: "one dash is an argument", args: []string{"cat", "-"}, want: proa(plain, "cat", "-")},
		{name: "a command called as one of our subcommands", args: []string{"install"}, want: proa(plain, "install")},
		{name: "help", args: []string{"--help", "--nonsense"}, want: Proa{Help: true}},
		{name: "version", args: []string{"-V"}, want: Proa{Version: true}},
		{name: "the command's own help", args: []string{"--", "a", "--help"}, want: proa(plain, "a", "--help")},
		{name: "a log level", args: []string{"a"}, log: "proa=debug", want: proa(func(p *Proa) { p.Spec.LogLevel = "debug" }, "a")},
		{name: "a log level among others", args: []string{"a"}, log: "trace, kube=trace,proa=WARN", want: proa(func(p *Proa) { p.Spec.LogLevel = "error" }, "a")},
		{name: "a log level for all", args: []string{"a"}, log: "off", want: proa(func(p *Proa) { p.Spec.LogLevel = "error" }, "a")},
		{name: "a log level of another program", args: []string{"a"}, log: "kube=trace", want: proa(plain, "a")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have, err := ParseProa(tt.args, env("RUST_LOG="+tt.log))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestParseProaMistakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{name: "no command", args: []string{"-K"}, want: []string{"no command given"}},
		{name: "no command behind --", args: []string{"--"}, want: []string{"no command given"}},
		{name: "an empty command", args: []string{""}, want: []string{"no command given"}},
		{name: "an option of the command without --", args: []string{"curl", "-sSf", "x"}, want: []string{"-sSf unknown option"}},
		{
			name: "all at once",
			args: []string{"--shutdown-http-get=localhost:8080", "--shutdown-http-post", "ftp://a/", "--kill=/bin/a", "--kill-all=yes", "--shutdown", "--kill"},
			want: []string{
				`--shutdown-http-get "localhost:8080" is no URL`,
				`--shutdown-http-post "ftp://a/" is no URL`,
				`--kill "/bin/a" is no name of a process`,
				"--kill-all takes no value",
				"--shutdown unknown option",
				"--kill value missing",
				"no command given",
			},
		},
		{name: "an option instead of a value", args: []string{"-g", "--", "a"}, want: []string{"--shutdown-http-get value missing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseProa(tt.args, env())
			problems(t, err, tt.want)
		})
	}
}

func TestProaWaitsForAllOthersToBeReady(t *testing.T) {
	p, err := ParseProa([]string{"-g", "http://localhost/quit", "a"}, env())
	check(t, err)
	want := p.Spec
	want.StartDeps = []spec.Dependency{{Container: "proxy", Condition: spec.Ready}, {Container: "cache", Condition: spec.Ready}}
	if diff := cmp.Diff(want, p.WaitFor([]string{"proxy", "cache"})); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	if !IsProa("/bin/proa") || IsProa("proart") {
		t.Error("proa is not known by its name")
	}
}
