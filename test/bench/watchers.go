package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"koordinator.io/koordinator/test/setup"
	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/podwatch"
)

// The numbers of wrappers that watch, the number of wrappers in one process, and the number
// of containers in their pods.
var crowds = []int{10, 100, 1000, 10000}

const (
	perProcess = 100
	perPod     = 10
	watchedFor = 30 * time.Second // how long the idle server is measured
	gathering  = 10 * time.Minute // timeout until all are connected
)

// crowd is the load of a number of watching wrappers on the API server.
type crowd struct {
	wrappers  int
	connected time.Duration // time until all had the status of their pod
	memory    int           // additional memory of the server in KiB
	processor float64       // share of one processor that the server used while nothing happened
	back      time.Duration // from the server's restart until all were connected again
	steepest  int           // the largest number of connections in one second then
}

// watchers measures an API server that wrappers watch. Wrappers that read records need
// no server.
func (b *bench) watchers(ctx context.Context, c *setup.Cluster) ([]row, error) {
	s, err := b.toBeWatched(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, n := range crowds {
		measured, err := s.gather(n)
		if err != nil {
			return nil, fmt.Errorf("%d wrappers: %w", n, err)
		}
		b.crowds = append(b.crowds, measured)
	}
	last := b.crowds[len(b.crowds)-1]
	return []row{{
		fmt.Sprintf("%d wrappers watch one API server", last.wrappers),
		fmt.Sprintf("%d KiB of the server each, %.0f %% of a processor at rest; after its restart all are connected again in %.0f s, at most %d in a second",
			last.memory/last.wrappers, 100*last.processor, last.back.Seconds(), last.steepest),
		"wrappers that read records: no connection", "", false,
	}}, nil
}

// watched is an API server whose load is measured.
type watched struct {
	ctx  context.Context
	self string
	*setup.Cluster
	access podstatus.Config
}

// toBeWatched prepares the cluster: pods that are never scheduled, and a service account
// that may read them.
func (b *bench) toBeWatched(ctx context.Context, c *setup.Cluster) (*watched, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	var manifests bytes.Buffer
	for i := range crowds[len(crowds)-1] / perPod {
		fmt.Fprintf(&manifests, "---\n{apiVersion: v1, kind: Pod, metadata: {name: p%d, namespace: watched}, spec: {schedulingGates: [{name: example.com/never}], containers: [{name: main, image: none}]}}\n", i)
	}
	if _, err := c.Kubectl(ctx, reader, "create", "-f", "-"); err != nil {
		return nil, err
	}
	if _, err := c.Kubectl(ctx, "", "-n", "watched", "wait", "--for=create", "--timeout=5m", "serviceaccount/default"); err != nil {
		return nil, err
	}
	if _, err := c.Kubectl(ctx, manifests.String(), "create", "-f", "-"); err != nil {
		return nil, err
	}
	token, err := c.Kubectl(ctx, "", "-n", "watched", "create", "token", "default", "--duration=24h")
	if err != nil {
		return nil, err
	}
	s := &watched{ctx: ctx, self: b.self, Cluster: c, access: podstatus.Config{
		Server: "https://10.96.0.1:443", TokenFile: filepath.Join(b.dir, "token"), CAFile: filepath.Join(b.dir, "ca.crt"), Namespace: "watched",
	}}
	return s, errors.Join(os.WriteFile(s.access.TokenFile, []byte(strings.TrimSpace(token)), 0o600), os.WriteFile(s.access.CAFile, config.CAData, 0o600))
}

// reader is the namespace of the pods, and the permission that the webhook gives to
// pods that need it.
const reader = `
{apiVersion: v1, kind: Namespace, metadata: {name: watched}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reader, namespace: watched}, rules: [{apiGroups: [""], resources: [pods], verbs: [get, list, watch]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: reader, namespace: watched}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}, subjects: [{kind: ServiceAccount, name: default, namespace: watched}]}
`

// gather starts n wrappers that watch, and measures the server before the start, during the
// watches, and after a restart.
func (s *watched) gather(n int) (crowd, error) {
	c := crowd{wrappers: n}
	pid, err := serverProcess()
	if err != nil {
		return c, err
	}
	before, err := read(pid)
	if err != nil {
		return c, err
	}
	began := time.Now()
	players, err := s.play(pid, n)
	defer players.leave()
	if err != nil {
		return c, err
	}
	c.connected = time.Since(began)
	used, err := processTime(pid)
	if err != nil {
		return c, err
	}
	time.Sleep(watchedFor)
	after, err := processTime(pid)
	if err != nil {
		return c, err
	}
	c.processor = (after - used).Seconds() / watchedFor.Seconds()
	now, err := read(pid)
	if err != nil {
		return c, err
	}
	c.memory = now.resident - before.resident
	return c, s.restart(&c, players)
}

// players holds processes that act as wrappers.
type players []*exec.Cmd

func (p players) leave() {
	for _, cmd := range p {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	}
}

// play starts players in the network of the server, and returns when each wrapper has the
// status of its pod.
func (s *watched) play(server, n int) (all players, err error) {
	access, err := json.Marshal(s.access)
	if err != nil {
		return nil, err
	}
	var said []*os.File
	for first := 0; first < n; first += perProcess {
		r, w, err := os.Pipe()
		if err != nil {
			return all, err
		}
		cmd := exec.Command("nsenter", "--target", strconv.Itoa(server), "--net", "--", s.self, "part-watch", string(access), strconv.Itoa(first), strconv.Itoa(min(perProcess, n-first)))
		cmd.Stdout, cmd.Stderr = w, os.Stderr
		err = cmd.Start()
		w.Close()
		if err != nil {
			return all, err
		}
		all, said = append(all, cmd), append(said, r)
	}
	for _, r := range said {
		line := make([]byte, 3)
		if err := r.SetReadDeadline(time.Now().Add(gathering)); err != nil {
			return all, err
		}
		if _, err := r.Read(line); err != nil {
			return all, fmt.Errorf("wrappers that watch: %w", err)
		}
		r.Close()
	}
	return all, nil
}

// watchPods is the command part-watch. It acts as wrappers until it is killed, and prints
// "up" when each has the status of its pod.
func watchPods(args []string) int {
	var access podstatus.Config
	first, err := strconv.Atoi(args[1])
	n, err2 := strconv.Atoi(args[2])
	if err := errors.Join(err, err2, json.Unmarshal([]byte(args[0]), &access)); err != nil {
		return complain(err)
	}
	out := make(chan int)
	for i := first; i < first+n; i++ {
		c := access
		c.Pod = "p" + strconv.Itoa(i/perPod)
		status := make(chan podstatus.Snapshot)
		go podwatch.Watch(context.Background(), c, slog.New(slog.DiscardHandler), status)
		go func() {
			<-status
			out <- 1
			for range status {
				continue
			}
		}()
	}
	for range n {
		<-out
	}
	fmt.Println("up")
	select {}
}

// restart restarts the server and records how its connections return.
func (s *watched) restart(c *crowd, all players) error {
	if err := s.Control(s.ctx, "stop", "kube-apiserver"); err != nil {
		return err
	}
	failed := make(chan error, 1)
	began := time.Now()
	go func() { failed <- s.Control(s.ctx, "start", "kube-apiserver") }()
	var counts []int // one count every tenth of a second
	for end := began.Add(gathering); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		n, err := established(all[0].Process.Pid)
		if err != nil {
			return err
		}
		counts = append(counts, n)
		if n >= c.wrappers {
			c.back = time.Since(began)
			break
		}
	}
	if c.back == 0 {
		return fmt.Errorf("only %d of %d are connected again: %w", counts[len(counts)-1], c.wrappers, context.DeadlineExceeded)
	}
	if err := <-failed; err != nil {
		return err
	}
	for i := range counts {
		c.steepest = max(c.steepest, counts[min(i+10, len(counts)-1)]-counts[i])
	}
	return nil
}

// serverProcess returns the PID of the API server of the cluster of test/cluster.
func serverProcess() (int, error) {
	name := os.Getenv("KOORDINATOR_CLUSTER")
	if name == "" {
		name = "koordinator"
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the process has ended
		}
		argv := strings.Split(string(text), "\x00")
		ours := slices.ContainsFunc(argv, func(arg string) bool { return strings.Contains(arg, "/"+name+"/") })
		if filepath.Base(argv[0]) == "kube-apiserver" && ours {
			return strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	return 0, fmt.Errorf("no kube-apiserver of the cluster %s runs", name)
}

// established returns the number of connections to the API server's Service in the network
// of a process (proc_net_tcp(5): the remote address in hexadecimal, the state 01).
func established(pid int) (n int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 3 && strings.HasSuffix(fields[2], ":01BB") && fields[3] == "01" {
			n++
		}
	}
	return n, err
}

// processTime returns the processor time of a process (proc_pid_stat(5), fields 14 and 15,
// in hundredths of a second).
func processTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may contain spaces
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err, err2)
}
