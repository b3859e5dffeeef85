package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// settle is how long a command waits until its wrapper has nothing to do.
const settle = 20 * time.Millisecond

// monotonic returns CLOCK_MONOTONIC in nanoseconds. All processes share this clock.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // this clock always exists
	}
	return now.Nano()
}

// play acts as another process of a measurement.
func play(part string, args []string) int {
	if part == "part-watch" { // watches pods as wrappers do
		return watchPods(args)
	}
	fmt.Fprintln(os.Stderr, "no part", part)
	return 2
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
