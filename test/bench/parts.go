package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// settle is how long a command lets its wrapper come to rest.
const settle = 20 * time.Millisecond

// monotonic is CLOCK_MONOTONIC in nanoseconds, which all processes share.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // the clock is always there
	}
	return now.Nano()
}

// play is a command in a container.
func play(part string, args []string) int {
	switch part {
	case "part-exit": // comes to rest, then tells when it exits
		time.Sleep(settle)
		fmt.Println(monotonic())
		return 0
	case "part-now": // tells when it runs
		fmt.Println(monotonic())
		return 0
	case "part-until": // tells when the signal given comes, and exits
		return until(args)
	case "part-listen": // listens on a port after a time, and tells when
		return listen(args)
	}
	fmt.Fprintln(os.Stderr, "no part", part)
	return 2
}

func until(args []string) int {
	number, err := strconv.Atoi(args[0])
	if err != nil {
		return complain(err)
	}
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.Signal(number))
	fmt.Println("up")
	<-heard
	fmt.Println(monotonic())
	return 0
}

func listen(args []string) int {
	after, err := time.ParseDuration(args[1])
	if err != nil {
		return complain(err)
	}
	time.Sleep(after)
	l, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	if err != nil {
		return complain(err)
	}
	fmt.Println(monotonic())
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return 0
		}
		if err == nil {
			c.Close()
		}
	}
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
