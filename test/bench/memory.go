package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/test/pod"
	"koordinator.io/koordinator/wrapper/spec"
)

// Aims for memory, in KiB, and for the binary, in bytes.
const (
	superviseAim = 2 << 10
	watchAim     = 8 << 10
	anonymousAim = 3 << 9 // 1.5 MiB
	sizeAim      = 3e6
)

// usage is a process's memory in KiB.
type usage struct{ resident, anonymous int }

// String formats the usage for the table.
func (u usage) String() string {
	return fmt.Sprintf("%.1f MiB (anonymous %.1f)", float64(u.resident)/1024, float64(u.anonymous)/1024)
}

// memory measures wrappers at rest.
func (b *bench) memory() ([]row, error) {
	var others []string
	for _, w := range b.wrappers()[1:] {
		u, err := b.resident(func() (usage, error) { return launched(w) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		others = append(others, w.name+" "+u.String())
	}
	supervise, err := b.resident(func() (usage, error) { return b.contained("{}", "") })
	if err != nil {
		return nil, err
	}
	local := `{"version":1,"container":"b","stopDeps":["a"],"wrapped":["a"],"source":"local","restart":{"policy":"Never"},"stopTimeout":"30s","stoppedExitCode":0,"killedExitCode":0}`
	records, err := b.resident(func() (usage, error) { return b.contained(local, "") })
	if err != nil {
		return nil, err
	}
	server, err := newServer(filepath.Join(b.dir, "access"))
	if err != nil {
		return nil, err
	}
	defer server.close()
	watch, err := b.resident(func() (usage, error) {
		return b.contained(`{"stopDeps":["a"],"source":"pod"}`, server.dir, server.env()...)
	})
	if err != nil {
		return nil, err
	}
	gone, err := b.contained(`{"mode":"exec"}`, "")
	if err != nil {
		return nil, err
	}
	return []row{
		{"resident while supervising", supervise.String(), strings.Join(others, ", "), aim(superviseAim), met(supervise, superviseAim)},
		{"resident while watching records", records.String(), "", aim(superviseAim), met(records, superviseAim)},
		{"resident while watching the API server", watch.String(), "", aim(watchAim), met(watch, watchAim)},
		{"resident in exec mode", gone.String(), "", "0", gone == usage{}},
	}, nil
}

func aim(resident int) string {
	return fmt.Sprintf("≤ %d MiB (anonymous ≤ 1.5)", resident>>10)
}

func met(u usage, resident int) bool { return u.resident <= resident && u.anonymous <= anonymousAim }

// resident returns the median of several runs.
func (b *bench) resident(take func() (usage, error)) (usage, error) {
	var resident, anonymous []int
	for range b.runs(7) {
		u, err := take()
		if err != nil {
			return usage{}, err
		}
		resident, anonymous = append(resident, u.resident), append(anonymous, u.anonymous)
	}
	slices.Sort(resident)
	slices.Sort(anonymous)
	return usage{resident[len(resident)/2], anonymous[len(anonymous)/2]}, nil
}

// launched returns the memory of an init with a command that does nothing.
func launched(w wrapped) (usage, error) {
	pid, err := launch(append(slices.Clip(w.argv), "/bin/sleep", "600"), w.env, nil)
	if err != nil {
		return usage{}, err
	}
	defer func() {
		syscall.Kill(pid, syscall.SIGKILL)
		_, _ = reap(pid) // the process was killed
	}()
	return rest(pid)
}

// contained returns the memory of a container's wrapper, or zero if the command has
// replaced the wrapper.
func (b *bench) contained(text, access string, env ...string) (usage, error) {
	p, err := pod.New(b.binary)
	if err != nil {
		return usage{}, err
	}
	defer p.Close()
	if err := os.Mkdir(filepath.Join(p.Records(), "a"), 0o777); err != nil {
		return usage{}, err
	}
	r, err := p.Start(pod.Container{Name: "b", Spec: text, Command: []string{"/bin/sleep", "600"}, Access: access, Env: env})
	if err != nil {
		return usage{}, err
	}
	u, err := rest(r.PID)
	if err != nil {
		err = fmt.Errorf("%w; its log: %s", err, r.Stderr())
	}
	return u, err
}

// rest waits until a command runs below a process or in place of it. It then waits until
// the process is at rest, and reads the memory of the process and of its network program.
func rest(pid int) (usage, error) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if name(pid) == "sleep" {
			return usage{}, nil
		}
		if childCalled(pid, "sleep") != 0 {
			time.Sleep(3 * time.Second) // until everything that starts with it is at rest
			return readAll(pid, childCalled(pid, spec.NetworkName))
		}
	}
	return usage{}, fmt.Errorf("process %d (%s) started nothing", pid, name(pid))
}

func name(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// childCalled returns the child of a process whose program has that name, or 0 if there is none.
func childCalled(pid int, program string) int {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return 0
	}
	for _, file := range tasks {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil && name(child) == program {
				return child
			}
		}
	}
	return 0
}

// readAll returns the memory of a wrapper and of its network program, if it has one.
func readAll(pid, program int) (usage, error) {
	u, err := read(pid)
	if err != nil || program == 0 {
		return u, err
	}
	more, err := read(program)
	return usage{u.resident + more.resident, u.anonymous + more.anonymous}, err
}

// read reads a process's memory (proc_pid_status(5)).
func read(pid int) (u usage, err error) {
	if u.resident, err = statusOf(pid, "VmRSS"); err == nil {
		u.anonymous, err = statusOf(pid, "RssAnon")
	}
	return u, err
}

// statusOf returns a number from a process's status, 0 if it is missing.
func statusOf(pid int, key string) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, key+":"); found {
			return strconv.Atoi(strings.Fields(value)[0])
		}
	}
	return 0, nil
}

// size measures the binary.
func (b *bench) size() ([]row, error) {
	info, err := os.Stat(b.binary)
	if err != nil {
		return nil, err
	}
	beside := ""
	if b.kubexit != "" {
		other, err := os.Stat(b.kubexit)
		if err != nil {
			return nil, err
		}
		beside = "kubexit " + megabytes(other.Size())
	}
	size := megabytes(info.Size())
	if program, err := os.Stat(filepath.Join(filepath.Dir(b.binary), spec.NetworkName)); err == nil {
		size += ", " + spec.NetworkName + " " + megabytes(program.Size())
	}
	return []row{{"binary, stripped, static", size, beside, "≤ " + megabytes(sizeAim), info.Size() <= sizeAim}}, nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }

// specOf returns a spec in the webhook's form.
func specOf(change func(*spec.Spec)) string {
	s := spec.Default()
	s.KilledExitCode = 0
	s.Restart.Policy = spec.RestartNever
	change(&s)
	return s.Encode()
}
