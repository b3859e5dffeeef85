package main

import (
	"context"
	"net"
	"net/netip"
	"strconv"

	"koordinator.io/koordinator/test/cluster/forward"
	"koordinator.io/koordinator/test/cluster/layout"
	"koordinator.io/koordinator/test/cluster/sandbox"
)

// internal holds the commands that start the parts of a cluster. They are not meant for users.
var internal = map[string]func(context.Context, []string) error{
	"enter":   enter,
	"forward": forwardPort,
}

// enter NAME NODE PROGRAM ARG… replaces itself by a program in the namespaces and the cgroup
// of the node with the number NODE.
func enter(_ context.Context, args []string) error {
	if len(args) < 3 {
		return errUsage
	}
	places, err := layout.New(args[0])
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(args[1])
	if err != nil {
		return errUsage
	}
	return sandbox.Enter(places.Node(number), args[2:])
}

// forwardPort NAME PORT implements the part forwarder: it makes the API server reachable at
// the host's 127.0.0.1:PORT. Like every part of the first node, it joins the node's cgroup,
// so that it is found even if its record is lost.
func forwardPort(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	places, err := layout.New(args[0])
	if err != nil {
		return err
	}
	first := places.Node(1)
	group, err := sandbox.OpenCgroup(first.Cgroup)
	if err != nil {
		return err
	}
	if err := group.Join(); err != nil {
		return err
	}
	inside, err := sandbox.NewDialer(first.NetworkNamespace())
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", args[1]))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	server := netip.MustParseAddrPort("127.0.0.1:6443")
	err = forward.Serve(listener, func() (net.Conn, error) { return inside.Dial(server) })
	if ctx.Err() != nil {
		return nil //nolint:nilerr // told to stop
	}
	return err
}
