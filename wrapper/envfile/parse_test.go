package envfile

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content string
		want    []Variable
		shell   bool // a shell that sources the file gets the same variables
	}{
		{"nothing", "", nil, true},
		{"comments and blank lines", "\n# a\n \t# b\n\n", nil, true},
		{"one line", "A=1\n", []Variable{{"A", "1"}}, true},
		{"no line end", "A=1", []Variable{{"A", "1"}}, true},
		{"an empty value", "A=\nB=''\n", []Variable{{"A", ""}, {"B", ""}}, true},
		{"export", "export A=1\nexport\t B=2\n  export C=3\n", []Variable{{"A", "1"}, {"B", "2"}, {"C", "3"}}, true},
		{"a variable named export", "export=1\n", []Variable{{"export", "1"}}, true},
		{"a comment after a value", "A=1 # one\nB='2' #two\nC=3\t \n", []Variable{{"A", "1"}, {"B", "2"}, {"C", "3"}}, true},
		{"a # inside of a value", "A=1#2\nB='#'\n", []Variable{{"A", "1#2"}, {"B", "#"}}, true},
		{"an = inside of a value", "A=b=c==\n", []Variable{{"A", "b=c=="}}, true},
		{"single quotes", `A='a "b" \n # $x'` + "\n", []Variable{{"A", `a "b" \n # $x`}}, true},
		{"double quotes", `A="a 'b' # c"` + "\n", []Variable{{"A", `a 'b' # c`}}, true},
		{"backslashes in double quotes", `A="\" \\ \$ \` + "`" + ` \n \a"` + "\n", []Variable{{"A", `" \ $ ` + "`" + ` \n \a`}}, true},
		{"backslashes outside quotes", `A=a\ b\"c\\d\e` + "\n", []Variable{{"A", `a b"c\de`}}, true},
		{"parts of a word", `A=a'b c'"d e"f` + "\n", []Variable{{"A", "ab cd ef"}}, true},
		{"values of several lines", "A='1\n2\n'\nB=\"3\n\n4\"\nC=5\n", []Variable{{"A", "1\n2\n"}, {"B", "3\n\n4"}, {"C", "5"}}, true},
		{"lines that go on", "A=\"1\\\n2\"\nB=3\\\n4\n", []Variable{{"A", "12"}, {"B", "34"}}, true},
		{"the same name twice", "A=1\nA=2\n", []Variable{{"A", "1"}, {"A", "2"}}, true},
		{"nothing is expanded", "A=$B\nC=\"${D} `e` $(f)\"\nG=pa$$word\n", []Variable{{"A", "$B"}, {"C", "${D} `e` $(f)"}, {"G", "pa$$word"}}, false},
		{"what is special to a shell alone", "A=a;b&c|d<e>(f)*~!\n", []Variable{{"A", "a;b&c|d<e>(f)*~!"}}, false},
		{"names that Kubernetes takes", "spring.url=1\nA-B=2\n", []Variable{{"spring.url", "1"}, {"A-B", "2"}}, false},
		{"CR LF", "A=1\r\n\r\n# c\r\nB='2' \r\nC=3 # c\r\nD=4\r", []Variable{{"A", "1"}, {"B", "2"}, {"C", "3"}, {"D", "4"}}, false},
		{"a line that goes on after CR LF", "A=1\\\r\n2\r\nB=\"1\\\r\n2\"\r\n", []Variable{{"A", "12"}, {"B", "12"}}, false},
		{"CR LF in quotes is kept", "A='1\r\n2'\r\n", []Variable{{"A", "1\r\n2"}}, false},
		{"a byte order mark", "\ufeffA=1\n", []Variable{{"A", "1"}}, false},
		{"bytes that are no UTF-8", "A=\xff\xfe\n", []Variable{{"A", "\xff\xfe"}}, true},
		{"a tab in a quoted value", "A='1\t2'\n", []Variable{{"A", "1\t2"}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have, err := Parse([]byte(tt.content), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
			if tt.shell {
				compareWithShell(t, tt.content, have)
			}
		})
	}
}

// compareWithShell sources the content in a shell and compares the values.
func compareWithShell(t *testing.T, content string, have []Variable) {
	t.Helper()
	script := "set -a\n" + content + "\n"
	want := map[string]string{}
	for _, v := range have {
		want[v.Name] = v.Value
	}
	var names []string
	for name := range want {
		names = append(names, name)
		script += `printf '%s\0' "$` + name + `"` + "\n"
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
	if err != nil {
		t.Fatalf("sh: %v", err)
	}
	values := strings.Split(string(out), "\x00")
	for i, name := range names {
		if values[i] != want[name] {
			t.Errorf("a shell reads %s as %q, Parse as %q", name, values[i], want[name])
		}
	}
}

func TestParseRefusesAndNeverQuotes(t *testing.T) {
	reserved := []string{"KOORDINATOR_SPEC"}
	for _, tt := range []struct{ name, content, want string }{
		{"no =", "A=1\nhunter2\n", "line 2: no assignment: "},
		{"export alone", "export hunter2\n", "line 1: no assignment: "},
		{"a blank before the =", "hunter2 =hunter2\n", "line 1: no variable's name before the =: "},
		{"a name that begins with a digit", "2hunter2=hunter2\n", "line 1: no variable's name"},
		{"no name", "=hunter2\n", "line 1: no variable's name"},
		{"a name with a quote", "'hunter2'=hunter2\n", "line 1: no variable's name"},
		{"the rest of a value of several lines", "KEY=-----BEGIN\nhunter2+/==\n", "line 2: no variable's name"},
		{"a blank in a value", "A=hunter2 hunter2\n", "line 1: the value ends at a blank, and more follows: "},
		{"a blank before a value", "A= hunter2\n", "line 1: the value ends at a blank"},
		{"two assignments in a line", "A=1 B=2\n", "line 1: the value ends at a blank"},
		{"more after a closing quote", "A='hunter2' hunter2\n", "line 1: the value ends at a blank"},
		{"a quote that is not closed", "A=1\nB='hunter2\nC=2\n", "line 2: the quote ' is not closed: "},
		{"a double quote that is not closed", "\n\nB=\"hunter2\\\"\n", "line 3: the quote \" is not closed: "},
		{"a line after a value of several lines", "A='1\n2'\nhunter2\n", "line 3: no assignment: "},
		{"a NUL byte", "A=1\nB=hunter2\x00\n", "line 2: a NUL byte: "},
		{"a variable of the wrapper", "A=1\nexport KOORDINATOR_SPEC=hunter2\n", "line 2: KOORDINATOR_SPEC belongs to koordinator: remove it"},
		{"UTF-16", "\xff\xfeA\x00=\x001\x00", "line 1: a NUL byte"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have, err := Parse([]byte(tt.content), reserved)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Fatalf("have %q, %v, want an error that begins with %q", have, err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"A=1\n", "export A='1\n2' # c\r\n", "A=\"\\\"\\\n\"", "\ufeffA=\\\n", "A=1 B", "A='"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		all, err := Parse(content, []string{"X"})
		if err != nil {
			if all != nil || !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("have %q, %v", all, err)
			}
			return
		}
		for _, v := range all {
			if !isVariable(v.Name) || v.Name == "X" || strings.ContainsRune(v.Value, 0) {
				t.Errorf("have %q", v)
			}
			quoted := v.Name + "='" + strings.ReplaceAll(v.Value, "'", `'\''`) + "'\n"
			again, err := Parse([]byte(quoted), nil)
			if err != nil || len(again) != 1 || again[0] != v {
				t.Errorf("%q is read as %q, %v", quoted, again, err)
			}
		}
	})
}
