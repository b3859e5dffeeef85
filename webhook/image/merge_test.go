package image

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// words splits a text at spaces. The text "" is nil, and a word of two single
// quotes is an empty word.
func words(text string) []string {
	all := strings.Fields(text)
	for i, w := range all {
		if w == "''" {
			all[i] = ""
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

func TestMerge(t *testing.T) {
	for _, tt := range []struct {
		name            string
		command, args   string // of the pod
		entrypoint, cmd string // of the image
		fromImage       string
		fromPod         string
		err             error
	}{
		{name: "ENTRYPOINT and CMD", entrypoint: "/e x", cmd: "c d", fromImage: "/e x c d"},
		{name: "ENTRYPOINT alone", entrypoint: "/e", fromImage: "/e"},
		{name: "CMD alone", cmd: "c d", fromImage: "c d"},
		{name: "a command replaces ENTRYPOINT and drops CMD", command: "/p", entrypoint: "/e", cmd: "c", fromPod: "/p"},
		{name: "a command and args replace both", command: "/p", args: "a", entrypoint: "/e", cmd: "c", fromPod: "/p a"},
		{name: "args replace CMD", args: "a b", entrypoint: "/e", cmd: "c", fromImage: "/e", fromPod: "a b"},
		{name: "args of an image with CMD alone are the command", args: "a b", cmd: "c", fromPod: "a b"},
		{name: "args of an image with nothing are the command", args: "a", fromPod: "a"},
		{name: "a command for an image with nothing", command: "/p", fromPod: "/p"},
		{name: "an ENTRYPOINT of one empty word is none", entrypoint: "''", cmd: "c", fromImage: "c"},
		{name: "an ENTRYPOINT of one empty word is none before args", entrypoint: "''", cmd: "c", args: "a", fromPod: "a"},
		{name: "an ENTRYPOINT of two words keeps its empty one", entrypoint: "'' x", fromImage: "'' x"},
		{name: "nothing at all", err: ErrNoCommand},
		{name: "an ENTRYPOINT of one empty word and nothing else", entrypoint: "''", err: ErrNoCommand},
		{name: "the shell form is an ENTRYPOINT like others", entrypoint: "/bin/sh -c x", args: "a", fromImage: "/bin/sh -c x", fromPod: "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have, err := Merge(words(tt.command), words(tt.args), Config{Entrypoint: words(tt.entrypoint), Cmd: words(tt.cmd)})
			if !errors.Is(err, tt.err) {
				t.Fatalf("want error %v, have %v", tt.err, err)
			}
			if !slices.Equal(have.FromImage, words(tt.fromImage)) || !slices.Equal(have.FromPod, words(tt.fromPod)) {
				t.Errorf("want %q then %q, have %q then %q", tt.fromImage, tt.fromPod, have.FromImage, have.FromPod)
			}
		})
	}
}

func TestMergeLeavesItsInputAlone(t *testing.T) {
	entrypoint := append(make([]string, 0, 8), "/e")
	c := Config{Entrypoint: entrypoint, Cmd: []string{"c"}}
	first, err := Merge(nil, nil, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Merge(nil, nil, Config{Entrypoint: entrypoint, Cmd: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/e", "c"}, first.FromImage); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func TestEscape(t *testing.T) {
	have := Escape([]string{"sh", "-c", "echo $$ $(HOME) ${A} $"})
	if diff := cmp.Diff([]string{"sh", "-c", "echo $$$$ $$(HOME) $${A} $$"}, have); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func TestRun(t *testing.T) {
	platform := func(name, entrypoint, cmd, signal string) Platform {
		return Platform{name, Config{Entrypoint: words(entrypoint), Cmd: words(cmd), StopSignal: signal}}
	}
	for _, tt := range []struct {
		name      string
		platforms []Platform
		command   string
		args      string
		want      Run
		err       error
	}{
		{
			name:      "one platform",
			platforms: []Platform{platform("linux/amd64", "/e", "c", "SIGQUIT")},
			want:      Run{Argv: Argv{FromImage: words("/e c")}, StopSignal: "SIGQUIT"},
		},
		{
			name:      "platforms that agree",
			platforms: []Platform{platform("linux/amd64", "/e", "c", "SIGQUIT"), platform("linux/arm64", "/e", "c", "SIGQUIT")},
			args:      "a",
			want:      Run{Argv: Argv{FromImage: words("/e"), FromPod: words("a")}, StopSignal: "SIGQUIT"},
		},
		{
			name:      "platforms that differ",
			platforms: []Platform{platform("linux/amd64", "/e-amd64", "", "SIGQUIT"), platform("linux/arm64", "/e-arm64", "", "3")},
			args:      "a",
			want: Run{
				Argv:       Argv{FromPod: words("a")},
				ByPlatform: map[string][]string{"linux/amd64": words("/e-amd64"), "linux/arm64": words("/e-arm64")},
			},
		},
		{
			name:      "platforms that differ only in the CMD that args replace",
			platforms: []Platform{platform("linux/amd64", "/e", "c", ""), platform("linux/arm64", "/e", "d", "")},
			args:      "a",
			want:      Run{Argv: Argv{FromImage: words("/e"), FromPod: words("a")}},
		},
		{
			name:      "a command makes platforms equal",
			platforms: []Platform{platform("linux/amd64", "/e", "", ""), platform("linux/arm64", "/f", "", "")},
			command:   "/p",
			want:      Run{Argv: Argv{FromPod: words("/p")}},
		},
		{
			name:      "a platform without command is left out",
			platforms: []Platform{platform("linux/amd64", "", "", ""), platform("linux/arm64", "/e", "", "SIGINT")},
			want:      Run{Argv: Argv{FromImage: words("/e")}, StopSignal: "SIGINT"},
		},
		{
			name:      "no platform with a command",
			platforms: []Platform{platform("linux/amd64", "", "", ""), platform("linux/arm64", "", "", "")},
			err:       ErrNoCommand,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have, err := Facts{Platforms: tt.platforms}.Run(words(tt.command), words(tt.args))
			if !errors.Is(err, tt.err) {
				t.Fatalf("want error %v, have %v", tt.err, err)
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestPlatformName(t *testing.T) {
	for _, tt := range []struct{ os, architecture, variant, want string }{
		{"linux", "amd64", "", "linux/amd64"},
		{"linux", "amd64", "v1", "linux/amd64"},
		{"linux", "amd64", "v3", "linux/amd64/v3"},
		{"linux", "x86_64", "", "linux/amd64"},
		{"linux", "arm64", "v8", "linux/arm64"},
		{"linux", "aarch64", "", "linux/arm64"},
		{"linux", "arm", "", "linux/arm/v7"},
		{"linux", "arm", "v6", "linux/arm/v6"},
		{"linux", "", "", "linux"},
		{"windows", "amd64", "", "windows/amd64"},
	} {
		if have := platformName(tt.os, tt.architecture, tt.variant); have != tt.want {
			t.Errorf("%q %q %q: want %q, have %q", tt.os, tt.architecture, tt.variant, tt.want, have)
		}
	}
}
