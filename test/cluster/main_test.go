package main

import (
	"errors"
	"strings"
	"testing"
)

func TestWrongCommandLines(t *testing.T) {
	for _, line := range []string{"nonsense", "up now", "up -nodes", "up -nodes 0", "up -nodes x", "up -nodes 1 2", "down now", "status x", "load", "restart", "restart -kill", "restart a b", "start", "remove", "remove a b", "stop", "enter", "enter a", "enter a x y", "forward a"} {
		if err := run(t.Context(), strings.Fields(line)); !errors.Is(err, errUsage) {
			t.Errorf("%s: error %v, want usage", line, err)
		}
	}
}

func TestEveryCommandIsInTheUsage(t *testing.T) {
	for name := range commands {
		if !strings.Contains(usage, "\n  "+name+" ") {
			t.Errorf("%s is missing", name)
		}
	}
	for name := range internal {
		if strings.Contains(usage, "\n  "+name+" ") {
			t.Errorf("%s is not for people", name)
		}
	}
}

func TestWrongClusterNameIsRefused(t *testing.T) {
	t.Setenv("KOORDINATOR_CLUSTER", "../x")
	if err := run(t.Context(), []string{"status"}); err == nil || !strings.Contains(err.Error(), `"../x"`) {
		t.Errorf("error %v", err)
	}
}
