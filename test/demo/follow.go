package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"koordinator.io/koordinator/test/setup"
)

// patience is how long the sample Job may take: seconds, but for pulling images.
const patience = 5 * time.Minute

// moment is something seen, at the time it was seen.
type moment struct {
	at   time.Time
	who  string
	what string
}

// follow applies the sample and prints what happens to its pod as it happens,
// until the Job has ended. It tells whether the Job completed.
func follow(ctx context.Context, c *setup.Cluster) (completed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	if _, err := c.Kubectl(ctx, "", "-n", namespace, "apply", "-f", sample); err != nil {
		return false, err
	}
	moments := make(chan moment)
	pods := &podStory{cluster: c, moments: moments, seen: map[string]bool{}, logged: map[string]bool{}}
	go stream(ctx, c, moments, pods.observe, "get", "pod", "-l", "job-name="+job, "--watch", "-o", "json")
	go stream(ctx, c, moments, jobStory(moments), "get", "job", job, "--watch", "-o", "json")

	fmt.Printf("\n%8s  %-10s %s\n", "seconds", "container", "")
	var line timeline
	for {
		select {
		case m := <-moments:
			if m.who == "" {
				return false, errors.New(m.what)
			}
			fmt.Printf("%8.2f  %-10s %s\n", m.at.Sub(began).Seconds(), m.who, m.what)
			line.add(m, began)
			if m.who == "Job" {
				line.print(m.what)
				return m.what == "Complete", nil
			}
		case <-ctx.Done():
			return false, fmt.Errorf("the Job did not end within %s: kubectl -n %s describe job,pod tells why", patience, namespace)
		}
	}
}

// stream hands every object that a watching kubectl prints to take.
func stream(ctx context.Context, c *setup.Cluster, moments chan<- moment, take func(context.Context, []byte), args ...string) {
	cmd := c.KubectlCommand(ctx, append([]string{"-n", namespace}, args...)...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		err = decode(ctx, out, take)
		cmd.Wait() // it ends with its output
	}
	if ctx.Err() == nil {
		moments <- moment{what: fmt.Sprintf("kubectl %s: %v", strings.Join(args, " "), err)}
	}
}

func decode(ctx context.Context, r io.Reader, take func(context.Context, []byte)) error {
	for dec := json.NewDecoder(r); ; {
		var object json.RawMessage
		if err := dec.Decode(&object); err != nil {
			return err
		}
		take(ctx, object)
	}
}

// jobStory reports the Job's end.
func jobStory(moments chan<- moment) func(context.Context, []byte) {
	return func(_ context.Context, object []byte) {
		var j struct {
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
		if json.Unmarshal(object, &j) != nil {
			return
		}
		for _, cond := range j.Status.Conditions {
			if cond.Status == "True" && (cond.Type == "Complete" || cond.Type == "Failed") {
				moments <- moment{time.Now(), "Job", cond.Type}
			}
		}
	}
}

// podStory reports what changes in the Job's pod.
type podStory struct {
	cluster *setup.Cluster
	moments chan<- moment
	seen    map[string]bool // what has been reported
	logged  map[string]bool // containers whose log is followed
}

// container is the part of a containerStatus that is looked at.
type container struct {
	Name  string
	Ready bool
	State struct {
		Running    *struct{}
		Terminated *struct{ ExitCode int }
	}
}

func (p *podStory) observe(ctx context.Context, object []byte) {
	var pod struct {
		Metadata struct{ Name string }
		Status   struct {
			InitContainerStatuses, ContainerStatuses []container
		}
	}
	if json.Unmarshal(object, &pod) != nil {
		return
	}
	p.once("pod", "created")
	for _, c := range pod.Status.InitContainerStatuses {
		if t := c.State.Terminated; t != nil {
			p.once(c.Name, fmt.Sprintf("exited, code %d", t.ExitCode))
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running == nil && c.State.Terminated == nil {
			continue
		}
		p.once(c.Name, "created")
		if !p.logged[c.Name] {
			p.logged[c.Name] = true
			go p.follow(ctx, pod.Metadata.Name, c.Name)
		}
		if c.Ready {
			p.once(c.Name, "ready")
		}
		if t := c.State.Terminated; t != nil {
			p.once(c.Name, fmt.Sprintf("exited, code %d", t.ExitCode))
		}
	}
}

// once reports a thing the first time it is seen.
func (p *podStory) once(who, what string) {
	if key := who + what; !p.seen[key] {
		p.seen[key] = true
		p.moments <- moment{time.Now(), who, what}
	}
}

// follow reports what a container prints: the wrapper's decisions in plain
// words, the command's own output in quotes.
func (p *podStory) follow(ctx context.Context, pod, name string) {
	cmd := p.cluster.KubectlCommand(ctx, "-n", namespace, "logs", "-f", pod, "-c", name)
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return
	}
	defer cmd.Wait()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if what := plain(lines.Text()); what != "" {
			p.moments <- moment{time.Now(), name, what}
		}
	}
}
