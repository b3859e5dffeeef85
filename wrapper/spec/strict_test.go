package spec

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inner and outer have every kind of field that occurs in a spec.
type inner struct {
	Word string `json:"word,omitempty"`
}

type outer struct {
	inner

	Number int               `json:"number"`
	Ptr    *inner            `json:"ptr"`
	List   []inner           `json:"list"`
	Lists  map[string][]int  `json:"lists"`
	Map    map[string]*inner `json:"map"`
}

func TestStrictReadsEveryKindOfField(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want outer
	}{
		"nothing":                        {`{}`, outer{}},
		"a field of an embedded struct":  {`{"word":"a"}`, outer{inner: inner{"a"}}},
		"a number":                       {`{"number":-7}`, outer{Number: -7}},
		"a text for a number":            {`{"number":"7"}`, outer{Number: 7}},
		"a number for a text":            {`{"word":1e3}`, outer{inner: inner{"1e3"}}},
		"a truth for a text":             {`{"word":true}`, outer{inner: inner{"true"}}},
		"the largest number":             {`{"number":2147483647}`, outer{Number: 2147483647}},
		"the smallest number":            {`{"number":-2147483648}`, outer{Number: -2147483648}},
		"an empty object is no nil":      {`{"ptr":{}}`, outer{Ptr: &inner{}}},
		"an object":                      {`{"ptr":{"word":"a"}}`, outer{Ptr: &inner{"a"}}},
		"an empty list is no nil":        {`{"list":[]}`, outer{List: []inner{}}},
		"null is an empty list":          {`{"list":null}`, outer{}},
		"also with white space about it": {`{"list": null }`, outer{}},
		"a list of objects":              {`{"list":[{"word":"a"},{}]}`, outer{List: []inner{{"a"}, {}}}},
		"an empty map is no nil":         {`{"map":{}}`, outer{Map: map[string]*inner{}}},
		"a map of objects":               {`{"map":{"a":{"word":"b"},"c":{}}}`, outer{Map: map[string]*inner{"a": {"b"}, "c": {}}}},
		"a map of lists":                 {`{"lists":{"a":[1,"2"],"b":[],"c":null}}`, outer{Lists: map[string][]int{"a": {1, 2}, "b": {}, "c": nil}}},
		"an escaped text":                {`{"word":"\u00e4\n"}`, outer{inner: inner{"ä\n"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var have outer
			if err := strict([]byte(tt.text), &have); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, have, cmp.AllowUnexported(outer{})); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestStrictReportsPlaceAndProblem(t *testing.T) {
	known := "Use one of list, lists, map, number, ptr, word"
	null := Problem{WrongForm, "", "null", "null is not a value", "Set a value, or remove the field"}
	at := func(place string, p Problem) Problem { p.Text = place + p.Text; return p }
	for text, want := range map[string]Problem{
		`{"numbr":1}`:               {UnknownField, "", "numbr", `"numbr" is not a known field`, known},
		`{"Number":1}`:              {UnknownField, "", "Number", `"Number" is not a known field`, known},
		`{"ptr":{"number":1}}`:      {UnknownField, "", "number", `ptr: "number" is not a known field`, "Use one of word"},
		`{"list":[{},{"w":1}]}`:     {UnknownField, "", "w", `list: [1]: "w" is not a known field`, "Use one of word"},
		`{"number":1,"number":1}`:   {DuplicateKey, "", "number", "number is set twice", "Keep one"},
		`{"map":{"a":{},"a":{}}}`:   {DuplicateKey, "", "a", "map: a is set twice", "Keep one"},
		`{"number":null}`:           at("number: ", null),
		`{"word":null}`:             at("word: ", null),
		`{"ptr":null}`:              at("ptr: ", null),
		`{"map":null}`:              at("map: ", null),
		`{"map":{"a":null}}`:        at("map: a: ", null),
		`{"list":[null]}`:           at("list: [0]: ", null),
		`null`:                      null,
		`{"number":2147483648}`:     {InvalidValue, "", "2147483648", `number: "2147483648" is not a whole number`, ""},
		`{"number":1.5}`:            {InvalidValue, "", "1.5", `number: "1.5" is not a whole number`, ""},
		`{"number":true}`:           {InvalidValue, "", "true", `number: "true" is not a whole number`, ""},
		`{"number":[1]}`:            {WrongForm, "", "[1]", "number: [1] is not a single value", "Write one value"},
		`{"word":{}}`:               {WrongForm, "", "{}", "word: {} is not a single value", "Write one value"},
		`{"ptr":"a"}`:               {WrongForm, "", "", `ptr: "a" is not a JSON object`, "Write {…}"},
		`{"list":{}}`:               {WrongForm, "", "", "list: {} is not a list", "Write [a, b]"},
		`{"list":"a"}`:              {WrongForm, "", "", `list: "a" is not a list`, "Write [a, b]"},
		`{"map":[]}`:                {WrongForm, "", "", "map: [] is not a JSON object", "Write {…}"},
		`{"lists":{"a":["b"]}}`:     {InvalidValue, "", "b", `lists: a: [0]: "b" is not a whole number`, ""},
		`{"lists":{"a":1}}`:         {WrongForm, "", "", "lists: a: 1 is not a list", "Write [a, b]"},
		`["a"]`:                     {WrongForm, "", "", `["a"] is not a JSON object`, "Write {…}"},
		`{"list":[1,{"word":"a"}]}`: {WrongForm, "", "", "list: [0]: 1 is not a JSON object", "Write {…}"},
	} {
		var to outer
		have, _ := errors.AsType[Problems](strict([]byte(text), &to))
		if diff := cmp.Diff(Problems{want}, have); diff != "" {
			t.Errorf("%s (-want +have):\n%s", text, diff)
		}
	}
}
