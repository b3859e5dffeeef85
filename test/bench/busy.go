package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// idleFor is how long the machine's load is observed before the measurements. mostBusy is
// the share of its processors that other processes may use then.
const (
	idleFor  = 5 * time.Second
	mostBusy = 0.1
)

// quiet returns an error if the machine is too busy for meaningful figures.
func quiet() error {
	before, err := busyTime()
	if err != nil {
		return err
	}
	time.Sleep(idleFor)
	after, err := busyTime()
	if err != nil {
		return err
	}
	share := (after - before).Seconds() / idleFor.Seconds() / float64(runtime.NumCPU())
	if share > mostBusy {
		return fmt.Errorf("the machine is too busy to measure: others use %.0f %% of its processors, and at most %.0f %% are allowed; stop them, or add -busy for figures that only show whether it works", 100*share, 100*mostBusy)
	}
	return nil
}

// command runs a program, and shows its output if it fails.
func command(argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GO111MODULE=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out)
	}
	return nil
}
