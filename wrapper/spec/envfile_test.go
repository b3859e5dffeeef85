package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvFiles(t *testing.T) {
	want := []EnvFile{{"/a", false}, {"/b/c d", true}}
	for _, text := range []string{
		`"/a, /b/c d?"`, `["/a", "/b/c d?"]`, `["/a", {"path": "/b/c d", "optional": true}]`, `[{"path": "/a", "optional": "false"}, {"path": "/b/c d?"}]`,
	} {
		s, err := Parse(`{"envFiles": ` + text + `}`)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, s.EnvFiles); diff != "" {
			t.Errorf("%s (-want +have):\n%s", text, diff)
		}
		again, err := Parse(s.Encode())
		if diff := cmp.Diff(s, again); diff != "" || err != nil {
			t.Errorf("%s is encoded as %s: %v (-want +have):\n%s", text, s.Encode(), err, diff)
		}
	}
	if text := (Spec{EnvFiles: want}).Encode(); !strings.HasPrefix(text, `{"version":2,`) {
		t.Errorf("a wrapper of version 1 would not refuse %s", text)
	}
	s, err := Parse(`{"mode": "exec", "envFiles": ["/with,comma"]}`)
	if again, _ := Parse(s.Encode()); err != nil || again.EnvFiles[0].Path != "/with,comma" {
		t.Errorf("a comma in a list is part of the path: %v, %s", err, s.Encode())
	}
}

func TestEnvFilesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`"env"`:                                 `"env" is not an absolute path. Begin it with /`,
		`"/a,"`:                                 "the path of a file is empty",
		`["/a", ""]`:                            "the path of a file is empty",
		`"/a/"`:                                 `"/a/" is not the path of a file`,
		`"/a??"`:                                `"/a?" is not the path of a file`,
		`["/a", "/a?"]`:                         `"/a" is listed twice. Keep one`,
		`[{"path": "/a", "x": 1}]`:              `"x" is not a known field. Use one of optional, path`,
		`[{"path": "/a", "optional": "maybe"}]`: `optional: "maybe" is not a valid value. Use true or false`,
		`[{"optional": true}]`:                  "the path of a file is empty",
		`{"a": 1}`:                              "is not a list of files. Write a path, several with commas between them, or a list",
		`[["/a"]]`:                              "is not a single value",
	} {
		if _, err := Parse(`{"envFiles": ` + text + `}`); err == nil || !strings.Contains(err.Error(), "envFiles: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: have %v, want %q", text, err, want)
		}
	}
}

func TestFilesAreReadFromEveryForm(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []EnvFile
	}{
		"one path":                          {`"/a"`, []EnvFile{{"/a", false}}},
		"one that may be missing":           {`"/a?"`, []EnvFile{{"/a", true}}},
		"spaces about each":                 {`" /a , /b c? "`, []EnvFile{{"/a", false}, {"/b c", true}}},
		"a space before the question mark":  {`"/a ?"`, []EnvFile{{"/a", true}}},
		"no files":                          {`[]`, nil},
		"a list with spaces about it":       {` [ "/a" , "/b?" ] `, []EnvFile{{"/a", false}, {"/b", true}}},
		"an object":                         {`[{"path":"/a"}]`, []EnvFile{{"/a", false}}},
		"its question mark":                 {`[{"path":"/a?"}]`, []EnvFile{{"/a", true}}},
		"its field":                         {`[{"path":"/a","optional":true}]`, []EnvFile{{"/a", true}}},
		"its field as a text":               {`[{"path":"/a","optional":"t"}]`, []EnvFile{{"/a", true}}},
		"the field counts more":             {`[{"optional":false,"path":"/a?"}]`, []EnvFile{{"/a", false}}},
		"the field counts more, with space": {`[{"optional":false,"path":"/a ?"}]`, []EnvFile{{"/a", false}}},
		"a question mark within":            {`"/a?b"`, []EnvFile{{"/a?b", false}}},
		"dots":                              {`"/a/../b"`, []EnvFile{{"/a/../b", false}}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse(`{"envFiles":` + tt.text + `}`)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, s.EnvFiles); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
			if again, err := Parse(s.Encode()); err != nil || !cmp.Equal(s, again) {
				t.Errorf("encoded as %s and read as %v, %v", s.Encode(), again.EnvFiles, err)
			}
		})
	}
}

func TestProblemsOfFiles(t *testing.T) {
	const empty = "Remove it, or write an absolute path, for example /vault/secrets/env"
	const form = "Write a path, several with commas between them, or a list"
	refuses(t, map[string]refusal{
		"null":                      {`{"envFiles":null}`, Problems{{WrongForm, "envFiles", "", "null is not a list of files", form}}},
		"an object":                 {`{"envFiles":{"path":"/a"}}`, Problems{{WrongForm, "envFiles", "", `{"path":"/a"} is not a list of files`, form}}},
		"nothing":                   {`{"envFiles":""}`, Problems{{InvalidPath, "envFiles", "", "the path of a file is empty", empty}}},
		"a question mark alone":     {`{"envFiles":"/a, ?"}`, Problems{{InvalidPath, "envFiles", "", "the path of a file is empty", empty}}},
		"an object without a path":  {`{"envFiles":[{"optional":"true"}]}`, Problems{{InvalidPath, "envFiles", "", "the path of a file is empty", empty}}},
		"a relative path":           {`{"envFiles":["env?"]}`, Problems{{InvalidPath, "envFiles", "env", `"env" is not an absolute path`, "Begin it with /"}}},
		"a directory":               {`{"envFiles":"/a/"}`, Problems{{InvalidPath, "envFiles", "/a/", `"/a/" is not the path of a file`, "Write the path of a file"}}},
		"the root":                  {`{"envFiles":"/"}`, Problems{{InvalidPath, "envFiles", "/", `"/" is not the path of a file`, "Write the path of a file"}}},
		"two question marks":        {`{"envFiles":"/a??"}`, Problems{{InvalidPath, "envFiles", "/a?", `"/a?" is not the path of a file`, "Write the path of a file"}}},
		"with a space between them": {`{"envFiles":"/a? ?"}`, Problems{{InvalidPath, "envFiles", "/a?", `"/a?" is not the path of a file`, "Write the path of a file"}}},
		"a byte that ends a path":   {`{"envFiles":"/a\u0000b"}`, Problems{{InvalidPath, "envFiles", "/a\x00b", `"/a\x00b" is not the path of a file`, "Write the path of a file"}}},
		"neither true nor false":    {`{"envFiles":[{"path":"/a","optional":"no"}]}`, Problems{{UnknownWord, "envFiles", "no", `optional: "no" is not a valid value`, "Use true or false"}}},
		"a field of no file":        {`{"envFiles":[{"file":"/a"}]}`, Problems{{UnknownField, "envFiles", "file", `"file" is not a known field`, "Use one of optional, path"}}},
		"a list in a list":          {`{"envFiles":[["/a"]]}`, Problems{{WrongForm, "envFiles", `["/a"]`, `["/a"] is not a single value`, "Write one value"}}},
		"all that are wrong": {`{"envFiles":["a","/b",{"path":"c"},"/d/"]}`, Problems{
			{InvalidPath, "envFiles", "a", `"a" is not an absolute path`, "Begin it with /"},
			{InvalidPath, "envFiles", "c", `"c" is not an absolute path`, "Begin it with /"},
			{InvalidPath, "envFiles", "/d/", `"/d/" is not the path of a file`, "Write the path of a file"},
		}},
		"a file three times": {`{"envFiles":"/a,/a?,/b,/a"}`, Problems{{DuplicateKey, "envFiles", "/a", `"/a" is listed twice`, "Keep one"}, {DuplicateKey, "envFiles", "/a", `"/a" is listed twice`, "Keep one"}}},
	})
}
