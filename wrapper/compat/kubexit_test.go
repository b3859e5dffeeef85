package compat

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

// env returns getenv for an environment of these "NAME=value" pairs.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for _, pair := range pairs {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestIsKubexit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		argv0 string
		env   []string
		want  bool
	}{
		{name: "by its name", argv0: "kubexit", want: true},
		{name: "by its name with a path", argv0: "/kubexit/kubexit", want: true},
		{name: "by its name inside a wrapped container", argv0: "kubexit", env: []string{"KOORDINATOR_SPEC={}", "KUBEXIT_NAME=a"}, want: true},
		{name: "by its variable", argv0: "/koordinator/koordinator", env: []string{"KUBEXIT_NAME=a"}, want: true},
		{name: "not where our own spec is given", argv0: "koordinator", env: []string{"KOORDINATOR_SPEC={}", "KUBEXIT_NAME=a"}},
		{name: "hbt-11 not where it is given under the misspelt name", argv0: "koordinator", env: []string{"KOOORDINATOR_SPEC={}", "KUBEXIT_NAME=a"}},
		{name: "not without any of it", argv0: "koordinator"},
		{name: "not a directory of that name", argv0: "/kubexit/koordinator"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if have := IsKubexit(tt.argv0, env(tt.env...)); have != tt.want {
				t.Errorf("have %v, want %v", have, tt.want)
			}
		})
	}
}

func TestKubexitCommand(t *testing.T) {
	for _, tt := range []struct {
		name    string
		args    []string
		want    []string
		version bool
	}{
		{name: "a command with options", args: []string{"nginx", "-g", "daemon off;"}, want: []string{"nginx", "-g", "daemon off;"}},
		{name: "a command called as one of our subcommands", args: []string{"install", "-v"}, want: []string{"install", "-v"}},
		{name: "the version", args: []string{"-version"}, version: true},
		{name: "the version with two dashes", args: []string{"--version"}, version: true},
		{name: "a command that is asked for its version", args: []string{"nginx", "--version"}, want: []string{"nginx", "--version"}},
		{name: "nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have, version := KubexitCommand(tt.args)
			if diff := cmp.Diff(tt.want, have); diff != "" || version != tt.version {
				t.Errorf("version %v, command (-want +have):\n%s", version, diff)
			}
		})
	}
}

// kubexit returns the settings for a single variable, with a change.
func kubexit(change func(*Kubexit)) Kubexit {
	k := Kubexit{Spec: spec.Default(), Dir: "/graveyard", Name: "app"}
	k.Spec.Container = "app"
	change(&k)
	return k
}

func TestParseKubexit(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		want Kubexit
	}{
		{
			name: "a name alone",
			env:  []string{"KUBEXIT_NAME=app"},
			want: kubexit(func(*Kubexit) {}),
		},
		{
			name: "kx-07 birth dependencies have to be ready, and fail after 30s",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_BIRTH_DEPS=proxy, cache,", "KUBEXIT_POD_NAME=job-x", "KUBEXIT_NAMESPACE=shop"},
			want: kubexit(func(k *Kubexit) {
				k.Pod, k.Namespace = "job-x", "shop"
				k.Spec.StartDeps = []spec.Dependency{
					{Container: "proxy", Condition: spec.Ready},
					{Container: "cache", Condition: spec.Ready},
				}
				k.Spec.StartTimeout = 30 * time.Second
				k.Spec.OnStartTimeout = spec.TimeoutFail
			}),
		},
		{
			name: "a death dependency stops the command, which then reports 0",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_DEATH_DEPS=main,Main_2,main", "KUBEXIT_GRACE_PERIOD=5s"},
			want: kubexit(func(k *Kubexit) {
				k.Spec.StopDeps = []spec.Dependency{
					{Container: "main", Condition: spec.Exited},
					{Container: "Main_2", Condition: spec.Exited},
				}
				k.Spec.StopTimeout = 5 * time.Second
				k.Spec.StoppedExitCode = 0
				k.Spec.StopWhen = spec.StopAny
			}),
		},
		{
			name: "a birth timeout",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_BIRTH_DEPS=proxy", "KUBEXIT_BIRTH_TIMEOUT=2m", "KUBEXIT_POD_NAME=p", "KUBEXIT_NAMESPACE=n"},
			want: kubexit(func(k *Kubexit) {
				k.Pod, k.Namespace = "p", "n"
				k.Spec.StartDeps = []spec.Dependency{{Container: "proxy", Condition: spec.Ready}}
				k.Spec.StartTimeout = 2 * time.Minute
			}),
		},
		{
			name: "a birth timeout means nothing without birth dependencies",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_BIRTH_TIMEOUT=0s", "KUBEXIT_POD_NAME=p"},
			want: kubexit(func(k *Kubexit) { k.Pod = "p" }),
		},
		{
			name: "a grace period of nothing kills at once",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_GRACE_PERIOD=0"},
			want: kubexit(func(k *Kubexit) { k.Spec.StopTimeout = time.Millisecond }),
		},
		{
			name: "a graveyard with a slash at its end",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_GRAVEYARD=/shared//graves/"},
			want: kubexit(func(k *Kubexit) { k.Dir = "/shared/graves" }),
		},
		{
			name: "a log level",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_LOG_LEVEL=warn"},
			want: kubexit(func(k *Kubexit) { k.Spec.LogLevel = "error" }),
		},
		{
			name: "a log level that nobody knows",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_LOG_LEVEL=chatty"},
			want: kubexit(func(*Kubexit) {}),
		},
		{
			name: "a verbose level",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_VERBOSE_LEVEL=2"},
			want: kubexit(func(k *Kubexit) { k.Spec.LogLevel = "debug" }),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have, err := ParseKubexit(env(tt.env...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestParseKubexitMistakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		want []string // variable and beginning of the text of each problem
	}{
		{name: "no name", want: []string{"KUBEXIT_NAME missing"}},
		{name: "a name that leaves the graveyard", env: []string{"KUBEXIT_NAME=../x"}, want: []string{`KUBEXIT_NAME "../x" is no file name`}},
		{
			name: "birth dependencies without a pod",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_BIRTH_DEPS=proxy"},
			want: []string{"KUBEXIT_POD_NAME missing, and KUBEXIT_BIRTH_DEPS needs it", "KUBEXIT_NAMESPACE missing"},
		},
		{
			name: "all at once",
			env: []string{
				"KUBEXIT_BIRTH_DEPS=Proxy", "KUBEXIT_DEATH_DEPS=a/b", "KUBEXIT_BIRTH_TIMEOUT=30", "KUBEXIT_GRACE_PERIOD=-1s",
				"KUBEXIT_POD_NAME=p", "KUBEXIT_NAMESPACE=n",
			},
			want: []string{
				"KUBEXIT_NAME missing",
				`KUBEXIT_BIRTH_DEPS "Proxy" is no container name`,
				`KUBEXIT_DEATH_DEPS "a/b" is no file name`,
				`KUBEXIT_BIRTH_TIMEOUT "30" is not a duration`,
				`KUBEXIT_GRACE_PERIOD "-1s" is too short`,
			},
		},
		{
			name: "a birth timeout of nothing",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_BIRTH_DEPS=b", "KUBEXIT_BIRTH_TIMEOUT=0s", "KUBEXIT_POD_NAME=p", "KUBEXIT_NAMESPACE=n"},
			want: []string{`KUBEXIT_BIRTH_TIMEOUT "0s" is too short`},
		},
		{
			name: "a dependency on itself",
			env:  []string{"KUBEXIT_NAME=app", "KUBEXIT_BIRTH_DEPS=app", "KUBEXIT_DEATH_DEPS=b,app"},
			want: []string{`KUBEXIT_BIRTH_DEPS container "app" cannot depend on itself`, `KUBEXIT_DEATH_DEPS container "app" cannot depend on itself`},
		},
		{name: "a list of nothing", env: []string{"KUBEXIT_NAME=app", "KUBEXIT_DEATH_DEPS=, "}, want: []string{`KUBEXIT_DEATH_DEPS ", " names nothing`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseKubexit(env(tt.env...))
			problems(t, err, tt.want)
		})
	}
}

// problems compares the problems with their expected "place text".
func problems(t *testing.T, err error, want []string) {
	t.Helper()
	have, ok := err.(spec.Problems) //nolint:errorlint // it is documented to be one
	if !ok {
		t.Fatalf("have %v, want spec.Problems", err)
	}
	var texts []string
	for i, p := range have {
		text := strings.TrimSpace(p.Field + " " + p.Text)
		if i < len(want) && strings.HasPrefix(text, want[i]) {
			text = want[i]
		}
		texts = append(texts, text)
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}
