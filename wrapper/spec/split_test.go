package spec

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnObjectIsSplitIntoItsMembers(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want string // keys and values, one pair per line
	}{
		"nothing in it":                 {`{}`, ""},
		"white space alone":             {" {\n\t\r } ", ""},
		"a text":                        {`{"a":"b"}`, `a="b"`},
		"an empty key and value":        {`{"":""}`, `=""`},
		"a number at the end":           {`{"a":1}`, "a=1"},
		"a number of one digit":         {`{"a":1,"b":2}`, "a=1\nb=2"},
		"a long number":                 {`{"a":-12.5e+10,"b":0}`, "a=-12.5e+10\nb=0"},
		"words":                         {`{"a":true,"b":false,"c":null}`, "a=true\nb=false\nc=null"},
		"white space behind each":       {"{ \"a\" \t:\n1\r, \"b\" : true }", "a=1\nb=true"},
		"a word before each white byte": {"{\"a\":1 ,\"b\":2\t,\"c\":3\r,\"d\":4\n}", "a=1\nb=2\nc=3\nd=4"},
		"lists":                         {`{"a":[],"b":[1,[2,3]],"c":["x","y"]}`, "a=[]\nb=[1,[2,3]]\nc=[\"x\",\"y\"]"},
		"objects":                       {`{"a":{},"b":{"c":{"d":1}},"e":[{"f":2}]}`, "a={}\nb={\"c\":{\"d\":1}}\ne=[{\"f\":2}]"},
		"brackets in texts":             {`{"a":"}]{[,:","b":["}"]}`, "a=\"}]{[,:\"\nb=[\"}\"]"},
		"quotes in texts":               {`{"a":"\"","b":"\\","c":["\"]"]}`, `a="\""` + "\n" + `b="\\"` + "\n" + `c=["\"]"]`},
		"white space within":            {`{"a":[ 1 , 2 ],"b":"c d"}`, "a=[ 1 , 2 ]\nb=\"c d\""},
		"a key twice":                   {`{"a":1,"a":2}`, "a=1\na=2"},
		"letters beyond ASCII in texts": {`{"a":"ä→"}`, `a="ä→"`},
	} {
		t.Run(name, func(t *testing.T) {
			members, ok := splitObject(tt.text)
			if !ok {
				t.Fatal("not split")
			}
			lines := make([]string, len(members))
			for i, m := range members {
				lines[i] = m.key + "=" + string(m.value)
			}
			if diff := cmp.Diff(tt.want, strings.Join(lines, "\n")); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
			same(t, tt.text)
		})
	}
}

func TestOnlySimpleObjectsAreSplit(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":               "",
		"white space":           " \n",
		"a list":                `["a"]`,
		"a text":                `"a"`,
		"a number":              `1`,
		"half of one":           `{"a":1`,
		"something behind":      `{"a":1} {}`,
		"a comma at the end":    `{"a":1,}`,
		"keys without quotes":   `{a:1}`,
		"an escape in a key":    `{"\u0061":1}`,
		"a quote in a key":      `{"a\"":1}`,
		"a key beyond ASCII":    `{"ä":1}`,
		"a byte that is no key": "{\"\x80\":1}",
	} {
		if members, ok := splitObject(text); ok {
			t.Errorf("%s: %q is split into %q", name, text, members)
		}
	}
}

// TestValuesDoNotShareCapacity appends to a member's value and checks that the
// next one does not change.
func TestValuesDoNotShareCapacity(t *testing.T) {
	members, ok := splitObject(`{"a":1,"b":2}`)
	if !ok {
		t.Fatal("not split")
	}
	_ = append(members[0].value, "xxxxx"...)
	if have := string(members[1].value); have != "2" {
		t.Errorf("the next value has become %s", have)
	}
}

// TestRandomObjectsAreSplitAsTheyAreDecoded compares the result with that of
// encoding/json.
func TestRandomObjectsAreSplitAsTheyAreDecoded(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	space := func() string { return []string{"", "", " ", "\n", "\t\r"}[r.IntN(5)] }
	texts := []string{`""`, `"a"`, `"\\"`, `"\""`, `"}"`, `"]["`, `"{,:"`, `"ä"`, `"\u007b"`, `"\\\""`}
	var value func(depth int) string
	object := func(depth int) string {
		var parts []string
		for range r.IntN(4) {
			key := texts[r.IntN(len(texts))]
			if depth == 0 {
				key = `"` + string("abc"[r.IntN(3)]) + `"`
			}
			parts = append(parts, space()+key+space()+":"+space()+value(depth+1)+space())
		}
		return "{" + strings.Join(parts, ",") + space() + "}"
	}
	value = func(depth int) string {
		switch n := r.IntN(8); {
		case n == 0 && depth < 4:
			return object(depth)
		case n == 1 && depth < 4:
			var items []string
			for range r.IntN(3) {
				items = append(items, space()+value(depth+1)+space())
			}
			return "[" + strings.Join(items, ",") + "]"
		case n < 5:
			return texts[r.IntN(len(texts))]
		}
		return []string{"0", "-1", "1e5", "2.5", "true", "false", "null"}[r.IntN(7)]
	}
	for range 5000 {
		text := space() + object(0) + space()
		if !json.Valid([]byte(text)) {
			t.Fatalf("no JSON: %s", text)
		}
		same(t, text)
	}
}

// same splits a text, decodes it with encoding/json, and compares the results.
func same(t *testing.T, text string) {
	t.Helper()
	have, ok := splitObject(text)
	if !ok {
		t.Fatalf("not split: %s", text)
	}
	want, err := decodeAnyObject(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(have) != len(want) {
		t.Fatalf("%s: %d members, want %d", text, len(have), len(want))
	}
	for i := range have {
		if have[i].key != want[i].key || string(have[i].value) != string(want[i].value) {
			t.Fatalf("%s: member %q: %s, want %q: %s", text, have[i].key, have[i].value, want[i].key, want[i].value)
		}
	}
}

func TestPlainStrings(t *testing.T) {
	for text, want := range map[string]string{`""`: "", `"a"`: "a", `"a b"`: "a b", `"7"`: "7", `"\u007f"`: "", `"ä"`: "", `"\n"`: ""} {
		have, plain := plainString([]byte(text))
		if have != want || plain != (want != "" || text == `""`) {
			t.Errorf("%s: have %q, plain: %t", text, have, plain)
		}
	}
	for _, text := range []string{"", `"`, "1", "12", "null", "[]", `{"a":1}`} {
		if have, plain := plainString([]byte(text)); plain {
			t.Errorf("%s is no string, have %q", text, have)
		}
	}
	if have, plain := plainString([]byte("\"\x7f\"")); !plain || have != "\x7f" {
		t.Errorf("the last letter of ASCII is as plain as the others: %q, %t", have, plain)
	}
}
