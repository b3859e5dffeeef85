package main

import "testing"

func TestRender(t *testing.T) {
	have := render([]string{
		"chart: pods enable koordinator for themselves",
		"tests: nothing that a user sees",
		"test/pod: nor here",
		"inject, annotations: a rule",
		"A line without an area",
		"wrapper/spec: a field",
		"chart: a knob",
	})
	const want = `### Run time

* **wrapper/spec**: a field

### Admission

* **inject, annotations**: a rule

### Installation and operation

* **chart**: pods enable koordinator for themselves
* **chart**: a knob

### Other changes

* A line without an area

`
	if have != want {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
}
