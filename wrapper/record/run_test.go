package record

import (
	"log/slog"
	"path/filepath"
	"testing"

	"koordinator.io/koordinator/wrapper/spec"
)

// together is the restart policy of a container that restarts all containers
// when it exits with code 42 or is killed.
var together = spec.Restart{Policy: spec.RestartNever, Rules: []spec.RestartRule{
	{Action: restartAll, ExitCodes: &spec.ExitCodes{Operator: "In", Values: []int{42, 137}}},
}}

// never is the restart policy of a container without rules.
var never = spec.Restart{Policy: spec.RestartNever}

// onePod contains the records of a pod.
type onePod struct {
	*testing.T
	dir string
}

// begin begins the next incarnation of a container.
func (p onePod) begin(name string, restart spec.Restart) *Record {
	p.Helper()
	r, err := Create(filepath.Join(p.dir, name), p.dir, restart)
	if err != nil {
		p.Fatal(err)
	}
	return r
}

// exit ends an incarnation with a recorded exit.
func (p onePod) exit(r *Record, code int) {
	p.Helper()
	s := State{Phase: "exited", Started: true, Exit: &Exit{Code: code, ForGood: r.restart.ForGood(code)}}
	if err := r.Update(s); err != nil {
		p.Fatal(err)
	}
	p.kill(r)
}

// kill ends an incarnation without a recorded exit.
func (p onePod) kill(r *Record) {
	r.file.Close()
	if r.gate != nil {
		r.gate.Close()
	}
}

// knows checks which containers have a record.
func (p onePod) knows(want ...string) {
	p.Helper()
	p.reads(Peers{Names: []string{"migrate", "main", "proxy"}}, want...)
}

// reads checks which records a reader finds.
func (p onePod) reads(reader Peers, want ...string) {
	p.Helper()
	reader.Dir, reader.Log = p.dir, slog.New(slog.DiscardHandler)
	out := make(chan Snapshot)
	go reader.Watch(p.Context(), true, out)
	for _, s := range []Snapshot{reader.Now(), <-out} {
		if len(s) != len(want) {
			p.Errorf("known: %+v, want %v", s, want)
		}
		for _, name := range want {
			if _, there := s[name]; !there {
				p.Errorf("not known: %s in %+v", name, s)
			}
		}
	}
}

func TestA10RecordsFromBeforeAllContainersWereRestartedCountAsNone(t *testing.T) {
	// A run of the pod: migrate has finished, and main and proxy run.
	begin := func(t *testing.T) (p onePod, main, proxy *Record) {
		p = onePod{t, t.TempDir()}
		for _, name := range []string{"migrate", "main", "proxy"} {
			place(t, p.dir, name)
		}
		p.exit(p.begin("migrate", never), 0)
		main, proxy = p.begin("main", together), p.begin("proxy", never)
		if err := main.Update(State{Phase: "running", Started: true}); err != nil {
			t.Fatal(err)
		}
		p.knows("migrate", "main", "proxy")
		return p, main, proxy
	}
	t.Run("an exit that restarts all", func(t *testing.T) {
		p, main, proxy := begin(t)
		p.exit(main, 42)
		p.kill(proxy)
		p.begin("proxy", never)
		p.knows("proxy")
		p.begin("main", together)
		p.knows("proxy", "main")
		p.exit(p.begin("migrate", never), 0)
		p.knows("proxy", "main", "migrate")
	})
	t.Run("a reader that needs only a record from before", func(t *testing.T) {
		p, main, proxy := begin(t)
		p.exit(main, 42)
		p.kill(proxy)
		p.reads(Peers{Names: []string{"migrate"}, Run: Run(proxy, "")}, "migrate")
		p.reads(Peers{Names: []string{"migrate"}, Run: Run(p.begin("proxy", never), "")})
		p.reads(Peers{Names: []string{"migrate"}, Run: Run(nil, p.dir)})
	})
	t.Run("the container itself is the first to start again", func(t *testing.T) {
		p, main, proxy := begin(t)
		p.exit(main, 42)
		p.exit(proxy, 143)
		if r := p.begin("main", together); r.last.Before {
			t.Error("its command was started before, in another run")
		}
		p.knows("main")
	})
	t.Run("a kill that restarts all, twice", func(t *testing.T) {
		p, main, proxy := begin(t)
		for range 2 {
			p.kill(main)
			p.kill(proxy)
			p.exit(p.begin("migrate", never), 0)
			p.knows("migrate")
			main, proxy = p.begin("main", together), p.begin("proxy", never)
			p.knows("migrate", "main", "proxy")
		}
	})
	t.Run("another exit", func(t *testing.T) {
		p, main, _ := begin(t)
		p.exit(main, 1)
		if r := p.begin("main", together); !r.last.Before {
			t.Error("its command was started before, in the same run")
		}
		p.knows("migrate", "main", "proxy")
	})
	t.Run("another container that is killed", func(t *testing.T) {
		p, _, proxy := begin(t)
		p.kill(proxy)
		if r := p.begin("proxy", never); r.last.Run != 0 {
			t.Errorf("run %d", r.last.Run)
		}
		p.knows("migrate", "main", "proxy")
	})
	t.Run("two that start after it are of the same run", func(t *testing.T) {
		p, main, proxy := begin(t)
		p.exit(main, 42)
		p.kill(proxy)
		first := p.begin("migrate", never)
		second := p.begin("proxy", never)
		if first.last.Run != 1 || second.last.Run != 1 {
			t.Errorf("runs %d and %d", first.last.Run, second.last.Run)
		}
		p.exit(first, 0)
		p.knows("migrate", "proxy")
	})
}
