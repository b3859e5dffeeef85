package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Start runs argv in a new session, with exactly the environment env, and appends its
// output to the file log. The process continues when the caller ends.
func Start(argv, env []string, log string) (Identity, error) {
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return Identity{}, err
	}
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return Identity{}, err
	}
	defer output.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append([]string{}, env...) // never nil, which would stand for the caller's environment
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return Identity{}, fmt.Errorf("start %s: %w", argv[0], err)
	}
	identity, err := Of(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill()
	}
	// Wait reaps the process if it ends before this program; otherwise init inherits it.
	go func() { _ = cmd.Wait() }()
	return identity, err
}
