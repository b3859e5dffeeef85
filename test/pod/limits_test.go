package pod

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bomb is a command that starts as many processes as its container may have, and then needs
// no further one until SIGTERM.
const bomb = `mkfifo $FIFO; exec 3<>$FIFO
trap 'echo term >>$LOG; exit 7' TERM
(while :; do sleep 1000 & done) 2>/dev/null
sleep 1000 & echo full >>$LOG
while :; do read x <&3; done`

// TestA2AtTheProcessLimit runs a pod in which one container's command takes all remaining
// processes, while its wrapper watches peers and has to stop the command.
func TestA2AtTheProcessLimit(t *testing.T) {
	for _, limit := range []int{20, 30, 64} {
		t.Run(fmt.Sprintf("%d processes", limit), func(t *testing.T) {
			t.Run("it waits, starts and passes a signal on", func(t *testing.T) {
				s := limitedStory(t, limit, 0)
				main := s.container("main", s.bomb(), startAfter("a", "b", "c"), stopAfter("a", "b", "c"))
				s.waits(main)
				s.peers()
				s.full(main)
				ask(t, syscall.SIGTERM, main)
				exits(t, main, 7)
			})
			t.Run("it stops when a peer has exited", func(t *testing.T) {
				s := limitedStory(t, limit, 0)
				main := s.container("main", s.bomb(), stopAfter("a", "b", "c"))
				peers := s.peers()
				s.full(main)
				ask(t, syscall.SIGTERM, peers[1])
				exits(t, main, 0)
				s.want("full term")
			})
			t.Run("it holds, and notices a death", func(t *testing.T) {
				s := limitedStory(t, limit, 0)
				main := s.container("main", s.bomb(), holdFor(100*time.Second, "a", "b", "c"))
				peers := s.peers()
				s.full(main)
				ask(t, syscall.SIGTERM, main, peers[1], peers[2])
				eventually(t, func() bool { return strings.Contains(main.Stderr(), "held") }, main.Stderr)
				peers[0].Kill()
				exits(t, main, 7)
			})
			t.Run("a probe that no process can be made for is asked again", func(t *testing.T) {
				s := limitedStory(t, limit, 0)
				open := s.log + ".open"
				main := s.container("main", s.bomb(), readyWhen(open))
				s.refusesProbes(main)
				if err := os.WriteFile(open, nil, 0o644); err != nil {
					t.Fatal(err)
				}
				next := s.container("next", "echo next >>$LOG", startAfter("main"))
				s.waits(next)
				main.freeOne(t)
				exits(t, next, 0)
				ask(t, syscall.SIGTERM, main)
				exits(t, main, 7)
			})
		})
	}
}

// TestA2WithFewDescriptors runs such a pod, whose processes may have only few descriptors.
func TestA2WithFewDescriptors(t *testing.T) {
	s := limitedStory(t, 0, 16)
	main := s.container("main", "trap 'exit 7' TERM; echo up >>$LOG; while :; do sleep 0.05; done",
		startAfter("a", "b", "c"), holdFor(100*time.Second, "a", "b", "c"), readyWhen(s.log))
	s.waits(main)
	peers := s.peers()
	s.until("up")
	next := s.container("next", "echo next >>$LOG", startAfter("main"))
	exits(t, next, 0)
	ask(t, syscall.SIGTERM, main, peers[1], peers[2])
	eventually(t, func() bool { return strings.Contains(main.Stderr(), "held") }, main.Stderr)
	peers[0].Kill()
	exits(t, main, 7)
}

// limitedStory returns a story whose containers each have limits.
func limitedStory(t *testing.T, processes int, descriptors uint64) story {
	s := newStory(t)
	s.processes, s.descriptors = processes, descriptors
	return s
}

// bomb returns the bomb, with a FIFO of this story.
func (s story) bomb() string { return "FIFO=" + s.log + ".fifo; " + bomb }

// peers starts three containers that run until they receive a stop request.
func (s story) peers() []*Running {
	s.Helper()
	var all []*Running
	for _, name := range []string{"a", "b", "c"} {
		r := s.container(name, "trap 'exit 0' TERM; while :; do sleep 0.05; done")
		eventually(s.T, func() bool { return strings.Contains(r.Stderr(), "command started") }, r.Stderr)
		all = append(all, r)
	}
	return all
}

// steady is how long the number of a container's processes must stay the same. After that,
// none of them belongs to a probe that is about to end.
const steady = 500 * time.Millisecond

// full waits until a container has as many processes as it may have. A probe that ran while
// the command took all others leaves one place free, which full takes, too.
func (s story) full(r *Running) {
	s.Helper()
	s.until("full")
	last := 0
	eventually(s.T, func() bool {
		n := r.count(s.T, "pids.current")
		stays := n == last
		last = n
		if stays && n < s.processes {
			r.join(s.T)
		}
		if !stays || n < s.processes {
			time.Sleep(steady)
			return false
		}
		return true
	}, func() string { return fmt.Sprintf("%d processes, want %d", last, s.processes) })
}

// refusesProbes waits until a container is full of permanent processes. No place is taken
// by a running probe, because probes run one after another and one was rejected.
func (s story) refusesProbes(r *Running) {
	s.Helper()
	eventually(s.T, func() bool {
		s.full(r)
		before := r.count(s.T, "pids.events")
		time.Sleep(2 * steady)
		return r.count(s.T, "pids.events") > before
	}, func() string { return "no probe is refused; stderr " + r.Stderr() })
}

// join adds one process to the container's cgroup.
func (r *Running) join(t *testing.T) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // an error: the process is killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // freeOne may have killed it
		<-ended
	})
	if err := os.WriteFile(filepath.Join(r.cgroup, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
}

// count returns a number from a file of the container's cgroup, with or without the name
// "max" before it.
func (r *Running) count(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.cgroup, file))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(string(text), "max ")))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// freeOne ends one of the processes that the bomb has started.
func (r *Running) freeOne(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.cgroup, "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	for field := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(field)
		if err == nil && strings.HasSuffix(executable(pid), "/sleep") {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no sleep among %q", text)
}

// ask sends a signal to containers.
func ask(t *testing.T, sig syscall.Signal, to ...*Running) {
	t.Helper()
	for _, r := range to {
		if err := r.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
}
