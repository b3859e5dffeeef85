package image

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnIndexAnswersByTheMostSpecificPattern(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	index, problems := ParseIndex(map[string]string{
		"base.yaml": `
nginx: {entrypoint: [/docker-entrypoint.sh], cmd: [nginx, -g, "daemon off;"], stopSignal: SIGQUIT}
nginx:1.2?: [/old]
library/redis: {cmd: [redis-server]}
`,
		"team.yaml": `
shop.example/team/*: [/app]
shop.example/team/web: [/web]
shop.example:5000/team/*:v*: [/five]
bitnami/*: [/bitnami]
web:1.*: {stopSignal: SIGINT}
`,
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for image, want := range map[string]string{
		"nginx":                                   "nginx",
		"nginx:1.27":                              "nginx:1.2?",
		"docker.io/library/nginx:1.3":             "nginx",
		"index.docker.io/library/nginx":           "nginx",
		"redis:8":                                 "library/redis",
		"bitnami/redis:8":                         "bitnami/*",
		"shop.example/team/web:1":                 "shop.example/team/web",
		"shop.example/team/api":                   "shop.example/team/*",
		"shop.example/team/deep/api":              "",
		"shop.example:5000/team/api:v2":           "shop.example:5000/team/*:v*",
		"shop.example:5000/team/api:main":         "",
		"nginx@" + digest:                         "nginx",
		"nginx:1.27@" + digest:                    "nginx:1.2?",
		"nginx:1.3@" + digest:                     "nginx",
		"shop.example:5000/team/api:v2@" + digest: "shop.example:5000/team/*:v*",
		"shop.example:5000/team/api@" + digest:    "",
		"nginx:.27@" + digest:                     "",
		"other/nginx":                             "",
		"not a name":                              "",
	} {
		t.Run(image, func(t *testing.T) {
			facts, pattern, found := index.Find(image)
			if pattern != want || found != (want != "") {
				t.Fatalf("found %v by %q, want %q", found, pattern, want)
			}
			if found && len(facts.Platforms) != 1 {
				t.Errorf("%d platforms, want one for all", len(facts.Platforms))
			}
		})
	}
	for image, want := range map[string]string{
		"nginx:1.27": "", "nginx:2": "SIGQUIT", "web:1.4": "SIGINT", "web:1.4@" + digest: "SIGINT", "web@" + digest: "", "redis:8": "", "not a name": "",
	} {
		if have := index.StopSignal(image); have != want {
			t.Errorf("stop signal of %s: %q, want %q", image, have, want)
		}
	}
	facts, _, _ := index.Find("nginx:latest")
	run, err := facts.Run(nil, nil)
	want := Run{Argv: Argv{FromImage: []string{"/docker-entrypoint.sh", "nginx", "-g", "daemon off;"}}, StopSignal: "SIGQUIT"}
	if diff := cmp.Diff(want, run); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestWhatCannotBeReadOfAnIndexIsToldAndTheRestIsUsed(t *testing.T) {
	index, problems := ParseIndex(map[string]string{
		"a": "good: [/good]\nnothing: []\nwords: /not-a-list\nmore: {entrypoint: [/x], env: [y]}\n\"bad[\": [/x]\n\"a//b\": [/x]\n\"x@sha256:00\": [/x]\n",
		"b": "- not a map",
		"c": "docker.io/library/good: [/again]\n",
	})
	var told []string
	for _, p := range problems {
		told = append(told, p.Error())
	}
	for _, want := range []string{
		`a: "nothing": names neither a program nor a signal`, `a: "words": want a list of strings`, `a: "more": want a list of strings, or {entrypoint`,
		`a: "bad[": this is no pattern`, `a: "a//b": this is no pattern`, `a: "x@sha256:00": this is no pattern`,
		`b: want a YAML map from image to command`, `c: "docker.io/library/good": given in a, too: keep one`,
	} {
		if !strings.Contains(strings.Join(told, "\n"), want) {
			t.Errorf("%q is not among\n%s", want, strings.Join(told, "\n"))
		}
	}
	if len(problems) != 8 {
		t.Errorf("%d problems, want 8", len(problems))
	}
	if _, _, found := index.Find("good:1"); !found {
		t.Error("what could be read is not used")
	}
}
