package record

import (
	"time"

	"golang.org/x/sys/unix"
)

// Moment is a point in time that all processes of a machine can compare, even
// if the clock has been set in between.
type Moment struct {
	Wall time.Time     `json:"wall"` // for people
	Boot time.Duration `json:"boot"` // since the machine's start, suspended time included (CLOCK_BOOTTIME)
}

// Now returns the present moment.
func Now() Moment {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("read CLOCK_BOOTTIME: " + err.Error()) // every kernel since 2.6.39 has it
	}
	return Moment{Wall: time.Now().UTC(), Boot: time.Duration(t.Nano())}
}

// IsZero reports whether the moment is unset.
func (m Moment) IsZero() bool { return m == Moment{} }

// Age returns how long ago the moment was.
func (m Moment) Age() time.Duration { return Now().Boot - m.Boot }

// Local returns the moment in this process's time. Comparing it with time.Now
// ignores changes of the clock.
func (m Moment) Local() time.Time { return time.Now().Add(-m.Age()) }
