package command

import (
	"testing"

	"koordinator.io/koordinator/wrapper/spec"
)

func TestB17WhatIsTakenForAMistake(t *testing.T) {
	for word, want := range map[string]bool{
		"stauts": true, "gte": true, "instal": true, "statuss": true, "-v": true, "--verbose": true,
		"validate": false, "gatekeeper": false, "./stauts": false, "/app": false, "--": false, "sh": false,
	} {
		if err := (command{args: []string{word}}).mistyped(); (err != nil) != want {
			t.Errorf("%q: %v", word, err)
		}
	}
	if err := (command{}).mistyped(); err != nil {
		t.Error(err)
	}
}

func TestTheDistanceOfWords(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "gate", 4}, {"gate", "", 4}, {"gate", "gate", 0}, {"gaet", "gate", 2}, {"gat", "gate", 1}, {"stauts", "status", 2}, {"kitten", "sitting", 3}} {
		if have := spec.Distance(test.a, test.b); have != test.want {
			t.Errorf("%q to %q: %d, want %d", test.a, test.b, have, test.want)
		}
	}
}
