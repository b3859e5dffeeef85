package main

import (
	"fmt"
	"slices"
	"time"
)

// series is what repeated runs of one thing took.
type series []time.Duration

// at is the smallest value that the part p of all, 0 to 1, does not exceed.
func (s series) at(p float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

func (s series) median() time.Duration { return s.at(0.5) }

func (s series) worst() time.Duration { return s.at(1) }

// ms is a duration in milliseconds, as the table shows it.
func ms(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// spread is a series' median and 90th percentile.
func (s series) spread() string {
	return fmt.Sprintf("%s (p90 %s)", ms(s.median()), ms(s.at(0.9)))
}

// subject is one of the things compared.
type subject struct {
	name string
	run  func() (time.Duration, error)
	series
}

// compare runs all subjects turn by turn, n times each.
func compare(n int, subjects []*subject) error {
	for range n {
		for _, s := range subjects {
			took, err := s.run()
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.series = append(s.series, took)
		}
	}
	return nil
}
