// Command webhook is koordinator's admission webhook.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"koordinator.io/koordinator/webhook"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if webhook.Run(ctx, os.Args[1:], os.Stderr) != nil {
		os.Exit(1)
	}
}
