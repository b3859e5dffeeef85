package main

import (
	"errors"
	"slices"
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
		s = append(s, time.Duration(99-n)) // 99 down to 0
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
		return &subject{name: name, run: func() (cost, error) { order.WriteString(name); return cost{1, 2, 3}, nil }}
	}
	all := []*subject{turn("a"), turn("b")}
	if err := compare(3, all); err != nil || order.String() != "ababab" || len(all[1].series) != 3 || typical(all[1].faults) != 2 || typical(all[1].switches) != 3 {
		t.Errorf("order %q, error %v", &order, err)
	}
	all[0].run = func() (cost, error) { return cost{}, errors.New("broken") }
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

// TestPageHasWhatWasMeasured renders the page from given figures and looks for them.
func TestPageHasWhatWasMeasured(t *testing.T) {
	count := func(name string, faults int) *subject {
		return &subject{name: name, series: series{time.Millisecond, 2 * time.Millisecond, 9 * time.Millisecond}, faults: []int{faults}, switches: []int{7}}
	}
	b := bench{
		starts:  []*subject{count(ourselves, 101), count(direct, 102), count(inPlace, 103), count(goFloor, 104), count("tini", 105)},
		growths: []grown{{containers: 2, threads: 3, chain: time.Second}, {containers: 50, threads: 4, broadcast: time.Minute}},
	}
	page := b.page(nil)
	for _, want := range []string{"| tini | 1.00 ms | 2.00 ms | 9.00 ms | 105 | 7 |", "| 50 | 4 |"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	for name, picture := range b.charts() {
		if svg := picture.SVG(); !strings.Contains(svg, "ms</text>") {
			t.Errorf("%s has no figure: %s", name, svg)
		}
	}
}

func TestThePhasesAddUpToTheStart(t *testing.T) {
	took := func(name string, n int) *subject { return &subject{name: name, series: series{time.Duration(n)}} }
	b := bench{starts: []*subject{took(ourselves, 100), took("tini", 30), took(direct, 1), took(inPlace, 60), took(goFloor, 21)}}
	if have, want := b.phases().times, []time.Duration{1, 21, 38, 40}; !slices.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
}
