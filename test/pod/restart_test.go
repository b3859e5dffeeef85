package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// restartWith adds containers to restart with, in a pod that restarts containers.
func restartWith(names ...string) func(*spec.Spec) {
	return func(s *spec.Spec) {
		s.RestartWith, s.Restart.Policy = names, spec.RestartAlways
		s.Wrapped = append(s.Wrapped, names...)
	}
}

// always makes the container restart indefinitely.
func always(s *spec.Spec) { s.Restart.Policy = spec.RestartAlways }

func TestAContainerRestartsWithAnother(t *testing.T) {
	const lasts = "trap 'exit 4' TERM; while :; do sleep 0.01; done"
	for _, test := range []struct {
		name string
		end  func(t *testing.T, proxy *Running)
	}{
		{"whose command fails", func(t *testing.T, proxy *Running) {
			proxy.Signal(syscall.SIGUSR1)
			exits(t, proxy, 1)
		}},
		{"that is killed with its wrapper", func(t *testing.T, proxy *Running) {
			proxy.Signal(syscall.SIGKILL)
			exits(t, proxy, 137)
		}},
		{"that was asked to stop alone", func(t *testing.T, proxy *Running) {
			proxy.Signal(syscall.SIGTERM)
			exits(t, proxy, 0)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStory(t)
			const script = "trap 'exit 1' USR1; trap 'exit 0' TERM; echo proxy >>$LOG; while :; do sleep 0.01; done"
			proxy := s.container("proxy", script, always)
			s.until("proxy")
			main := s.container("main", "echo main >>$LOG; "+lasts, restartWith("proxy"), startAfter("proxy"))
			worker := s.container("worker", "echo worker >>$LOG; "+lasts, restartWith("main"), startAfter("main"))
			s.until("worker")
			test.end(t, proxy)
			exits(t, main, spec.ExitRestart)
			exits(t, worker, spec.ExitRestart)
			if !strings.Contains(main.Message(), "proxy ended, and this container restarts with it") {
				t.Errorf("the message is %q", main.Message())
			}
			main = s.container("main", "echo again >>$LOG; "+lasts, restartWith("proxy"), startAfter("proxy"))
			s.waits(main)
			if have := s.happened(); strings.Contains(have, "again") {
				t.Errorf("main did not wait for the next proxy: %s", have)
			}
			s.container("proxy", lasts, always)
			s.until("again")
			main.Signal(syscall.SIGTERM)
			exits(t, main, 4) // main ran until now
		})
	}
}

func TestNothingRestartsWhileThePodIsStopped(t *testing.T) {
	s := newStory(t)
	proxy := s.container("proxy", "trap 'exit 0' TERM; while :; do sleep 0.01; done", always)
	main := s.container("main", "trap 'sleep 3; exit 4' TERM; echo main >>$LOG; while :; do sleep 0.01; done", restartWith("proxy"), startAfter("proxy"))
	s.until("main")
	proxy.Signal(syscall.SIGTERM) // the proxy holds for no container here, and ends first
	main.Signal(syscall.SIGTERM)
	exits(t, proxy, 0)
	exits(t, main, 4)
}

func TestOnlyTheContainerItselfReportsThatItIsReady(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared=%t", shared), func(t *testing.T) {
			s := newStory(t)
			if shared {
				if err := s.Share(); err != nil {
					t.Fatal(err)
				}
			}
			file, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			part := func(name, socket string, ready spec.ReadyWhen) *Running {
				sp := spec.Default()
				sp.Container, sp.Source, sp.ReadyWhen = name, spec.SourceLocal, ready
				return start(t, s.Pod, Container{Name: name, UID: 1000, Files: map[string]string{self: file}, Command: []string{self, "part-report", socket}, Spec: sp.Encode()})
			}
			s.container("db", "echo db >>$LOG; exec sleep 3600", func(sp *spec.Spec) { sp.ReadyWhen = spec.ReadyByNotice })
			s.until("db")
			first := s.container("first", "echo first >>$LOG", startAfter("db"))
			s.waits(first)
			says(t, part("forger", filepath.Join(spec.PeersDir, "db", "notify"), spec.ReadyByProbes), "reported")
			time.Sleep(500 * time.Millisecond) // proves absence
			s.want("db")

			part("cache", "own", spec.ReadyByNotice)
			second := s.container("second", "echo second >>$LOG", startAfter("cache"))
			exits(t, second, 0)
			s.want("db second")
		})
	}
}
