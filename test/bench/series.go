package main

import (
	"fmt"
	"slices"
	"time"
)

// series holds the durations of repeated runs.
type series []time.Duration

// at returns the smallest value that is not exceeded by the part p of all values. p is
// between 0 and 1.
func (s series) at(p float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

func (s series) median() time.Duration { return s.at(0.5) }

func (s series) worst() time.Duration { return s.at(1) }

// ms formats a duration in milliseconds for the table.
func ms(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// spread formats the median and the 90th percentile of a series.
func (s series) spread() string {
	return fmt.Sprintf("%s (p90 %s)", ms(s.median()), ms(s.at(0.9)))
}

// cost is the cost of one run: its time, and counts that do not depend on the load of the machine.
type cost struct {
	time     time.Duration
	faults   int // page faults
	switches int // context switches
}

// subject is one of the compared programs or pods.
type subject struct {
	name string
	run  func() (cost, error)
	series
	faults, switches []int
}

// typical returns the median of counts.
func typical(counts []int) int {
	sorted := slices.Sorted(slices.Values(counts))
	return sorted[len(sorted)/2]
}

// compare runs all subjects in turn, n times each.
func compare(n int, subjects []*subject) error {
	for range n {
		for _, s := range subjects {
			took, err := s.run()
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.series = append(s.series, took.time)
			s.faults, s.switches = append(s.faults, took.faults), append(s.switches, took.switches)
		}
	}
	return nil
}
