package timeline

import (
	"strings"
	"testing"
	"time"

	"koordinator.io/koordinator/cli/history"
)

// told makes a history from lines "SECONDS CONTAINER KIND [for=…] [by=…] [code=N]".
func told(phase string, containers string, lines ...string) history.History {
	h := history.History{Pod: "shop/p", Phase: phase, Now: time.Unix(100, 0)}
	for name := range strings.FieldsSeq(containers) {
		h.Containers = append(h.Containers, history.Container{Name: name, Role: "container"})
	}
	for _, line := range lines {
		words := strings.Split(line, "|")
		seconds, err := time.ParseDuration(words[0] + "s")
		if err != nil {
			panic(err)
		}
		e := history.Event{At: time.Unix(0, 0).Add(seconds), Container: words[1], Kind: history.Kind(words[2])}
		for _, word := range words[3:] {
			key, value, _ := strings.Cut(word, "=")
			switch key {
			case "for":
				e.For = strings.Split(value, ",")
			case "by":
				e.StoppedBy = strings.Split(value, ",")
			case "run":
				e.Run = int(value[0] - '0')
			case "code":
				e.ExitCode = int(value[0] - '0')
			case "why":
				e.Reason = value
			}
		}
		h.Events = append(h.Events, e)
	}
	h.Sort()
	return h
}

// chain returns the critical chain in one line, the end first.
func chain(t Timeline) string {
	var names []string
	for _, m := range t.Chain {
		names = append(names, m.name())
	}
	return strings.Join(names, " < ")
}

func TestCauses(t *testing.T) {
	for name, test := range map[string]struct {
		history history.History
		chain   string
		arrows  int
		cause   string
	}{
		"a dependency that was met long before does not count": {
			told("Succeeded", "a b", "0||pod-created", "1|a|created", "1|a|started", "2|a|ready", "5|b|created", "5.1|b|started|for=a to be ready", "9|b|terminated"),
			"b exited < b started < b created < pod created", 0, "",
		},
		"the last of two dependencies": {
			told("Succeeded", "a b c", "0||pod-created", "1|a|created", "1|a|started", "2|a|ready", "1|b|created", "1|b|started", "3|b|exited", "1|c|created", "1|c|waiting", "3.1|c|started|for=a to be ready,b to succeed", "9|c|terminated"),
			"c exited < c started < b exited < b started < b created < pod created", 1, "",
		},
		"a stop that was held for a dependent": {
			told("Succeeded", "a b", "0||pod-created", "1|a|created", "1|a|started", "1|b|created", "1|b|started", "5||pod-deleted", "5|a|stopping|by=SIGTERM", "7|a|exited", "5|b|held|for=a|by=SIGTERM", "7.1|b|stopping|by=SIGTERM", "8|b|exited"),
			"b exited < b stopping < a exited < a stopping < pod deleted", 1, "",
		},
		"the first failure is the cause": {
			told("Failed", "a b", "0||pod-created", "1|a|created", "1|a|started", "2|a|terminated|code=3|why=no such table", "1|b|created", "1|b|waiting|for=a to succeed", "2.1|b|ended|code=6|why=a will never succeed: it exited with code 3", "2.1|b|terminated|code=6|why=a will never succeed: it exited with code 3"),
			"b exited < a exited < a started < a created < pod created", 1, `container "a" exited with code 3: no such table`,
		},
		"a start timeout, and why": {
			told("Failed", "a b", "0||pod-created", "1|a|created", "1|a|started", "3|a|not-ready|why=connection refused", "1|b|created", "1|b|waiting|for=a to be ready", "5|b|ended|code=4|why=waited 4s for a to be ready", "5|b|terminated|code=4"),
			"b exited < b created < pod created", 0, `container "b" exited with code 4: waited 4s for a to be ready (a: connection refused)`,
		},
		"an eviction": {
			func() history.History {
				h := told("Failed", "a", "0||pod-created")
				h.Reason = "Evicted: disk"
				return h
			}(), "", 0, "Evicted: disk",
		},
		"a restart": {
			told("Running", "a", "0||pod-created", "1|a|created", "1|a|started", "2|a|terminated|code=1", "3|a|created|run=1", "3|a|started|run=1"),
			"a started < a created < a exited < a started < a created < pod created", 0, "",
		},
		"nothing but a pod": {told("Pending", "a", "0||pod-created"), "", 0, ""},
		"nothing at all":    {told("Pending", ""), "", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			line := Of(test.history)
			if have := chain(line); have != test.chain || len(line.Arrows) != test.arrows || line.Cause != test.cause {
				t.Errorf("chain %q, %d arrows, cause %q;\nwant  %q, %d, %q", have, len(line.Arrows), line.Cause, test.chain, test.arrows, test.cause)
			}
			if err := line.Text(new(strings.Builder), true); err != nil {
				t.Error(err)
			}
			if svg := line.Picture().SVG(); !strings.Contains(svg, "critical chain") {
				t.Error("the picture has no legend")
			}
		})
	}
}

func TestStepsOfTheAxis(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		time.Nanosecond: time.Millisecond, 3 * time.Second: 5 * time.Second, 11 * time.Second: 15 * time.Second,
		40 * time.Second: time.Minute, 6 * time.Hour: 6 * time.Hour, 50 * time.Hour: 72 * time.Hour,
	} {
		if have := round(d); have != want {
			t.Errorf("%s: steps of %s, want %s", d, have, want)
		}
	}
}
