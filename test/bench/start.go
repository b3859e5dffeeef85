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

// Aims for the start, in addition to the time of the command alone.
const (
	startAim = 1600 * time.Microsecond
	execAim  = 1200 * time.Microsecond
	exitAim  = 300 * time.Microsecond
)

// wrapped describes how to run a command under a program.
type wrapped struct {
	name string
	argv []string // before the command
	env  []string
}

// wrappers returns koordinator and the other inits.
func (b *bench) wrappers() []wrapped {
	list := []wrapped{{ourselves, []string{b.binary, "--"}, nil}}
	for _, name := range peers {
		path, err := exec.LookPath(name)
		if err == nil { // always: prepare has checked this
			list = append(list, wrapped{name, []string{path, "--"}, nil})
		}
	}
	return list
}

// The subjects of the start in addition to the other inits.
const (
	direct    = "direct"
	inPlace   = "exec mode"
	goFloor   = "an empty Go program"
	ourselves = "koordinator"
)

// start measures the start of a command that does nothing.
func (b *bench) start() ([]row, error) {
	empty, err := emptyGo(b.dir)
	if err != nil {
		return nil, err
	}
	by := map[string]*subject{}
	for _, w := range append(b.wrappers(),
		wrapped{direct, nil, nil},
		wrapped{inPlace, []string{b.binary, "--"}, []string{spec.Env + `={"mode":"exec"}`}},
	) {
		by[w.name] = &subject{name: w.name, run: func() (cost, error) { return timed(append(slices.Clip(w.argv), b.part), w.env) }}
		b.starts = append(b.starts, by[w.name])
	}
	by[goFloor] = &subject{name: goFloor, run: func() (cost, error) { return timed([]string{empty}, nil) }}
	b.starts = append(b.starts, by[goFloor])
	if err := compare(b.runs(500), b.starts); err != nil {
		return nil, err
	}
	over := func(name string) time.Duration { return by[name].median() - by[direct].median() }
	var others []string
	for _, name := range append(slices.Clip(peers), goFloor) {
		others = append(others, fmt.Sprintf("%s %s", name, ms(over(name))))
	}
	others = append(others, "direct itself "+ms(by[direct].median()))
	return []row{
		{
			"start with nothing to wait for, over direct", ms(over(ourselves)), strings.Join(others, ", "),
			"≤ " + ms(startAim), over(ourselves) <= startAim,
		},
		{"start in exec mode, over direct", ms(over(inPlace)), "", "≤ " + ms(execAim), over(inPlace) <= execAim},
	}, nil
}

// timed runs a program as PID 1 of a PID namespace until it ends. The program must succeed.
func timed(argv, env []string) (cost, error) {
	begin := time.Now()
	pid, err := launch(argv, env, nil)
	if err != nil {
		return cost{}, err
	}
	used, err := reap(pid)
	return cost{time.Since(begin), int(used.Minflt + used.Majflt), int(used.Nvcsw + used.Nivcsw)}, err
}

// launch starts a program as PID 1 of a PID namespace. It discards the program's output
// unless stdout is given.
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

// reap waits for a program's end, and returns the resources that the program and its children used.
func reap(pid int) (used syscall.Rusage, err error) {
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, 0, &used)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return used, err
		}
		if !status.Exited() || status.ExitStatus() != 0 {
			return used, fmt.Errorf("ended with status %#x", status)
		}
		return used, nil
	}
}

// exit measures the time from the exit of a command to the end of its wrapper.
func (b *bench) exit() ([]row, error) {
	var subjects []*subject
	for _, w := range b.wrappers() {
		subjects = append(subjects, &subject{name: w.name, run: func() (cost, error) { return b.exitOnce(w) }})
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

// exitOnce runs a command that prints the time of its exit.
func (b *bench) exitOnce(w wrapped) (cost, error) {
	r, out, err := os.Pipe()
	if err != nil {
		return cost{}, err
	}
	defer r.Close()
	pid, err := launch(append(slices.Clip(w.argv), b.part, "exit"), w.env, out)
	out.Close()
	if err != nil {
		return cost{}, err
	}
	if _, err := reap(pid); err != nil {
		return cost{}, err
	}
	end := monotonic()
	var at int64
	if _, err := fmt.Fscan(r, &at); err != nil {
		return cost{}, err
	}
	return cost{time: time.Duration(end - at)}, nil
}
