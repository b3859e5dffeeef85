// Command demo shows koordinator's main purpose on a real cluster: it builds and installs
// everything, applies the sample Job and prints its timeline.
//
//	go run ./test/demo [-cluster test|current|kind] up|down
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"koordinator.io/koordinator/test/setup"
)

func main() {
	cluster := flag.String("cluster", setup.Test, "test (started when it is not up), current (kubeconfig context) or kind")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *cluster, flag.Arg(0))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, cluster, verb string) error {
	switch verb {
	case "up":
		return up(ctx, cluster)
	case "down":
		return down(ctx, cluster)
	default:
		return fmt.Errorf("want up or down, have %q", verb)
	}
}
