package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// Aims for the start, beyond the command run directly.
const (
	startAim = 3 * time.Millisecond
	execAim  = 2 * time.Millisecond
	exitAim  = time.Millisecond
)

// wrapped is how to run a command under each program.
type wrapped struct {
	name string
	argv []string // before the command
	env  []string
}

// wrappers are koordinator and the inits.
func (b *bench) wrappers() []wrapped {
	list := []wrapped{{"koordinator", []string{b.binary, "--"}, nil}}
	for _, name := range peers {
		path, err := exec.LookPath(name)
		if err == nil { // prepare has looked
			list = append(list, wrapped{name, []string{path, "--"}, nil})
		}
	}
	return list
}

// start measures a command that does nothing.
func (b *bench) start() ([]row, error) {
	list := append(b.wrappers(),
		wrapped{"direct", nil, nil},
		wrapped{"exec mode", []string{b.binary, "--"}, []string{spec.Env + `={"mode":"exec"}`}},
	)
	program, err := exec.LookPath("true")
	if err != nil {
		return nil, err
	}
	var subjects []*subject
	by := map[string]*subject{}
	for _, w := range list {
		s := &subject{name: w.name, run: func() (time.Duration, error) { return timed(append(slices.Clip(w.argv), program), w.env) }}
		by[w.name] = s
		subjects = append(subjects, s)
	}
	if err := compare(b.runs(500), subjects); err != nil {
		return nil, err
	}
	direct := by["direct"].median()
	over := func(name string) time.Duration { return by[name].median() - direct }
	var others []string
	for _, name := range peers {
		others = append(others, fmt.Sprintf("%s %s", name, ms(over(name))))
	}
	others = append(others, "direct itself "+ms(direct))
	return []row{
		{
			"start with nothing to wait for, over direct", ms(over("koordinator")), strings.Join(others, ", "),
			"≤ " + ms(startAim), over("koordinator") <= startAim,
		},
		{"start in exec mode, over direct", ms(over("exec mode")), "", "≤ " + ms(execAim), over("exec mode") <= execAim},
	}, nil
}

// timed runs a program as PID 1 of a PID namespace to its end, which has to be
// a success.
func timed(argv, env []string) (time.Duration, error) {
	begin := time.Now()
	pid, err := launch(argv, env, nil)
	if err != nil {
		return 0, err
	}
	err = reap(pid)
	return time.Since(begin), err
}

// launch starts a program as PID 1 of a PID namespace. Its output, but for the
// descriptor given as its 1, goes nowhere.
func launch(argv, env []string, stdout *os.File) (int, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	files := []uintptr{null.Fd(), null.Fd(), null.Fd()}
	if stdout != nil {
		files[1] = stdout.Fd()
	}
	return syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Env: append(os.Environ(), env...), Files: files,
		Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID},
	})
}

// reap waits for a program's end.
func reap(pid int) error {
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if !status.Exited() || status.ExitStatus() != 0 {
			return fmt.Errorf("ended with status %#x", status)
		}
		return nil
	}
}

// exit measures how soon a wrapper ends after its command.
func (b *bench) exit() ([]row, error) {
	var subjects []*subject
	for _, w := range b.wrappers() {
		subjects = append(subjects, &subject{name: w.name, run: func() (time.Duration, error) { return b.exitOnce(w) }})
	}
	if err := compare(b.runs(200), subjects); err != nil {
		return nil, err
	}
	var others []string
	for _, s := range subjects[1:] {
		others = append(others, s.name+" "+s.spread())
	}
	ours, tini := subjects[0], subjects[1]
	return []row{{
		"child exit → wrapper exit", ours.spread(), strings.Join(others, ", "),
		"tini + " + ms(exitAim), ours.median() <= tini.median()+exitAim,
	}}, nil
}

// exitOnce runs a command that tells when it exits.
func (b *bench) exitOnce(w wrapped) (time.Duration, error) {
	r, out, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	pid, err := launch(append(slices.Clip(w.argv), b.self, "part-exit"), w.env, out)
	out.Close()
	if err != nil {
		return 0, err
	}
	if err := reap(pid); err != nil {
		return 0, err
	}
	end := monotonic()
	var at int64
	if _, err := fmt.Fscan(r, &at); err != nil {
		return 0, err
	}
	return time.Duration(end - at), nil
}
