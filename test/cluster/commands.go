package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"koordinator.io/koordinator/test/cluster/cluster"
)

// errNotUp makes status exit with 1. status has already printed the reason.
var errNotUp = errors.New("the cluster is not up")

// commands holds the commands that usage lists.
var commands = map[string]func(context.Context, *cluster.Cluster, []string) error{
	"up":         up,
	"down":       alone(func(ctx context.Context, c *cluster.Cluster) error { return c.Down(ctx) }),
	"status":     alone(status),
	"kubeconfig": alone(kubeconfig),
	"bin":        alone(bin),
	"audit":      alone(audit),
	"load":       load,
	"start":      onOne((*cluster.Cluster).Start),
	"remove":     onOne((*cluster.Cluster).Remove),
	"stop":       onPart((*cluster.Cluster).Stop),
	"restart":    onPart((*cluster.Cluster).Restart),
}

// alone wraps a command that takes no arguments.
func alone(do func(context.Context, *cluster.Cluster) error) func(context.Context, *cluster.Cluster, []string) error {
	return func(ctx context.Context, c *cluster.Cluster, args []string) error {
		if len(args) > 0 {
			return errUsage
		}
		return do(ctx, c)
	}
}

// onPart wraps a command that takes [-kill] and a part or node.
func onPart(do func(*cluster.Cluster, context.Context, string, bool) error) func(context.Context, *cluster.Cluster, []string) error {
	return func(ctx context.Context, c *cluster.Cluster, args []string) error {
		kill := len(args) > 0 && args[0] == "-kill"
		if kill {
			args = args[1:]
		}
		if len(args) != 1 {
			return errUsage
		}
		return do(c, ctx, args[0], kill)
	}
}

// up implements the command up.
func up(ctx context.Context, c *cluster.Cluster, args []string) error {
	nodes := 1
	if len(args) == 2 && args[0] == "-nodes" {
		number, err := strconv.Atoi(args[1])
		if err != nil || number < 1 || number > cluster.MostNodes {
			return errUsage
		}
		nodes, args = number, nil
	}
	if len(args) > 0 {
		return errUsage
	}
	return c.Up(ctx, nodes)
}

// onOne wraps a command that takes a part or node.
func onOne(do func(*cluster.Cluster, context.Context, string) error) func(context.Context, *cluster.Cluster, []string) error {
	return func(ctx context.Context, c *cluster.Cluster, args []string) error {
		if len(args) != 1 {
			return errUsage
		}
		return do(c, ctx, args[0])
	}
}

// status implements the command status.
func status(ctx context.Context, c *cluster.Cluster) error {
	if !c.Status(ctx, os.Stdout) {
		return errNotUp
	}
	return nil
}

// kubeconfig implements the command kubeconfig.
func kubeconfig(_ context.Context, c *cluster.Cluster) error {
	path, err := c.Kubeconfig()
	if err == nil {
		fmt.Fprintln(os.Stdout, path)
	}
	return err
}

// bin implements the command bin.
func bin(ctx context.Context, c *cluster.Cluster) error {
	programs, err := c.Programs(ctx)
	if err == nil {
		fmt.Fprintln(os.Stdout, programs.Bin)
	}
	return err
}

// audit implements the command audit.
func audit(_ context.Context, c *cluster.Cluster) error {
	fmt.Fprintln(os.Stdout, c.AuditLog())
	return nil
}

// load implements the command load.
func load(ctx context.Context, c *cluster.Cluster, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	for i, archive := range args {
		absolute, err := filepath.Abs(archive)
		if err != nil {
			return err
		}
		args[i] = absolute
	}
	return c.Load(ctx, args)
}
