package command

import (
	"os"
	"path/filepath"
	"testing"
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

func TestAMistypedCommandIsReportedWithASuggestion(t *testing.T) {
	for word, want := range map[string]string{
		"stauts": `unknown command "stauts": did you mean "status"? Write koordinator -- stauts to run a program of that name`,
		"instal": `unknown command "instal": did you mean "install"? Write koordinator -- instal to run a program of that name`,
		"heps":   `unknown command "heps": did you mean "help"? Write koordinator -- heps to run a program of that name`,
		"-o":     `unknown option "-o": see koordinator --help, or write koordinator -- -o to run a program of that name`,
		"--":     "",
		"-":      `unknown option "-": see koordinator --help, or write koordinator -- - to run a program of that name`,
	} {
		err := command{args: []string{word, "status"}, environ: []string{"PATH=/nowhere"}}.mistyped()
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%q: have %v, want %q", word, err, want)
		}
	}
}

// TestAnExistingProgramIsNotMistyped uses programs with such names in PATH, one
// of which cannot be run.
func TestAnExistingProgramIsNotMistyped(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"gat": 0o700, "prob": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := (command{args: []string{name}, environ: []string{"PATH=" + dir}}).mistyped(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := (command{args: []string{name}, environ: []string{"PATH=/nowhere"}}).mistyped(); err == nil {
			t.Errorf("%s is not in PATH, but is accepted", name)
		}
	}
}
