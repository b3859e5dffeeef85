package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSeries(t *testing.T) {
	var s series
	if s.median() != 0 || s.worst() != 0 {
		t.Errorf("an empty series has median %v, worst %v", s.median(), s.worst())
	}
	for n := range 100 {
		s = append(s, time.Duration(99-n)) // 0 to 99, backwards
	}
	for p, want := range map[float64]time.Duration{0: 0, 0.5: 50, 0.9: 90, 0.99: 99, 1: 99} {
		if have := s.at(p); have != want {
			t.Errorf("at(%v) = %d, want %d", p, have, want)
		}
	}
}

func TestCompareTakesTurns(t *testing.T) {
	var order strings.Builder
	turn := func(name string) *subject {
		return &subject{name: name, run: func() (time.Duration, error) { order.WriteString(name); return 1, nil }}
	}
	all := []*subject{turn("a"), turn("b")}
	if err := compare(3, all); err != nil || order.String() != "ababab" || len(all[1].series) != 3 {
		t.Errorf("order %q, error %v", &order, err)
	}
	all[0].run = func() (time.Duration, error) { return 0, errors.New("broken") }
	if err := compare(1, all); err == nil || err.Error() != "a: broken" {
		t.Errorf("error %v", err)
	}
}

func TestTable(t *testing.T) {
	have := table([]row{{"x", "1 ms", "tini 2 ms", "≤ 1 ms", true}, {"y", "3 ms", "", "≤ 1 ms", false}, {what: "z", ours: "4 ms"}})
	for _, want := range []string{"| x | 1 ms | tini 2 ms | ≤ 1 ms | met |\n", "| y | 3 ms |  | ≤ 1 ms | missed |\n", "| z | 4 ms |  |  |  |\n"} {
		if !strings.Contains(have, want) {
			t.Errorf("%s lacks %q", have, want)
		}
	}
}
