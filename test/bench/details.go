package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"koordinator.io/koordinator/cli/picture"
)

// The paths of the page and its pictures.
const (
	pageFile     = "docs/explanation/performance.md"
	pictureFiles = "docs/pictures"
)

// write writes the page and its pictures.
func (b *bench) write(rows []row) error {
	for name, p := range b.charts() {
		if err := os.WriteFile(filepath.Join(pictureFiles, name), []byte(p.SVG()), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(pageFile, []byte(b.page(rows)), 0o644)
}

// startTable returns the details of each program's start.
func (b *bench) startTable() string {
	if len(b.starts) == 0 {
		return ""
	}
	var t strings.Builder
	t.WriteString(`
## The start in detail

The programs ran in turn, each as PID 1 of its own PID namespace, with a program that only exits as the command. "direct" is this program alone. Page faults
and context switches are medians, and include those of the command. The second part of the picture shows the phases of a start under koordinator. They add up to
its time: the command alone, an empty Go program, what exec mode takes in addition to both, and what koordinator takes in addition to exec mode.

![The start of a container's command](../pictures/start-cost.svg)

| program | p10 | median | p99 | page faults | context switches |
|---|---|---|---|---|---|
`)
	for _, s := range b.starts {
		fmt.Fprintf(&t, "| %s | %s | %s | %s | %d | %d |\n", s.name, ms(s.at(0.1)), ms(s.median()), ms(s.at(0.99)), typical(s.faults), typical(s.switches))
	}
	return t.String()
}

// growthTable returns the cost of a pod by its number of containers.
func (b *bench) growthTable() string {
	if len(b.growths) == 0 {
		return ""
	}
	var t strings.Builder
	t.WriteString(`
## Growth

The table shows the cost of a wrapper whose container depends on all other containers of its pod. In a chain, each container waits until the previous one has started. The time
of a chain runs from the start of the first command to the start of the last one. In a broadcast, one container exits and all others stop. The time of a broadcast runs from this exit until the last container
has received SIGTERM. All containers share the processors of one machine.

![How the cost grows with the number of containers](../pictures/growth.svg)

| containers | threads | descriptors | resident | chain | per container | broadcast |
|---|---|---|---|---|---|---|
`)
	for _, g := range b.growths {
		fmt.Fprintf(&t, "| %d | %d | %d | %s | %s | %s | %s |\n", g.containers, g.threads, g.descriptors, g.usage, ms(g.chain), ms(g.link()), ms(g.broadcast))
	}
	return t.String()
}

// crowdTable returns the load of watching wrappers on the API server.
func (b *bench) crowdTable() string {
	if len(b.crowds) == 0 {
		return ""
	}
	var t strings.Builder
	t.WriteString(`
## The API server

Ten wrappers in each pod watch the status of the pod. One kube-apiserver on the same machine serves all of them. Each wrapper has its own connection.
A wrapper that only reads records has no connection.

| wrappers | all connected after | the server's memory for each | the server's processor at rest | after a restart all connected in | at most in one second |
|---|---|---|---|---|---|
`)
	for _, c := range b.crowds {
		fmt.Fprintf(&t, "| %d | %.1f s | %d KiB | %.1f %% of one | %.1f s | %d |\n", c.wrappers, c.connected.Seconds(), c.memory/c.wrappers, 100*c.processor, c.back.Seconds(), c.steepest)
	}
	return t.String()
}

// fleetTable returns the load of many injected pods on the webhook.
func (b *bench) fleetTable() string {
	if len(b.fleets) == 0 {
		return ""
	}
	var t strings.Builder
	fmt.Fprintf(&t, `
## The webhook of a large cluster

The table shows one replica of the webhook. The injected pods wait for a scheduling gate, in %d enabled namespaces. The replica was restarted when all pods existed. The requests include the
renewal of the leader's lease every two seconds. At the end of the measurement, a client creates and deletes %d pods a second. The time of a creation is the time of the client's entire request.

| injected pods | resident at rest | peak since the start | all pods counted after | requests that write, until at rest | processor with %d pods a second | creation p50, p99 |
|---|---|---|---|---|---|---|
`, b.fleets[0].spread, comings, comings)
	for _, f := range b.fleets {
		fmt.Fprintf(&t, "| %d | %s | %.1f MiB | %.1f s | %d | %.0f %% of one | %s, %s |\n",
			f.pods, f.resident, float64(f.peak)/1024, f.synced.Seconds(), f.writes, 100*f.busy, ms(f.created.median()), ms(f.created.at(0.99)))
	}
	return t.String()
}

// link returns the time that each container except the first adds to a chain.
func (g grown) link() time.Duration { return g.chain / time.Duration(g.containers-1) }

// charts returns the pictures of the page by file name.
func (b *bench) charts() map[string]*picture.Picture {
	all := map[string]*picture.Picture{}
	if len(b.starts) > 0 {
		var group bars
		group.title = "Median time from the start until the command was reaped"
		for _, s := range b.starts {
			group.add(s.name, s.median())
		}
		all["start-cost.svg"] = chart("The start of a container's command", group, b.phases())
	}
	if len(b.growths) > 0 {
		chain, broadcast := bars{title: "A chain of containers, per container"}, bars{title: "From one container's exit until all others have SIGTERM"}
		for _, g := range b.growths {
			name := strconv.Itoa(g.containers) + " containers"
			chain.add(name, g.link())
			broadcast.add(name, g.broadcast)
		}
		all["growth.svg"] = chart("How the cost grows with the number of containers", chain, broadcast)
	}
	return all
}

// phases returns the parts of a start under koordinator, which add up to its time.
func (b *bench) phases() bars {
	group := bars{title: "The phases of a start under koordinator"}
	took := map[string]time.Duration{}
	for _, s := range b.starts {
		took[s.name] = s.median()
	}
	group.add("the command alone", took[direct])
	group.add("an empty Go program", took[goFloor])
	group.add("load, spec, exec", took[inPlace]-took[goFloor]-took[direct])
	group.add("signals, threads, supervision", took[ourselves]-took[inPlace])
	return group
}

// bars is a group of times to compare.
type bars struct {
	title string
	names []string
	times []time.Duration
}

func (b *bars) add(name string, t time.Duration) {
	b.names, b.times = append(b.names, name), append(b.times, t)
}

// Sizes of a chart, in pixels.
const (
	margin  = 16.0
	longest = 360.0 // length of the longest bar
	thick   = 14.0
)

// chart draws groups of bars below one another.
func chart(title string, groups ...bars) *picture.Picture {
	names, lines := 0.0, 0
	for _, g := range groups {
		lines += len(g.names) + 2
		for _, name := range g.names {
			names = max(names, picture.Width(name))
		}
	}
	const line = picture.LineHeight + 6
	p := picture.New(title, 2*margin+names+12+longest+12+picture.Width("1000.00 ms"), 2*margin+float64(lines)*line)
	y := margin
	for _, g := range groups {
		p.Label("title", g.title, "", margin, y+thick)
		y += line
		most := time.Duration(1)
		for _, t := range g.times {
			most = max(most, t)
		}
		for i, t := range g.times {
			length := longest * float64(t) / float64(most)
			p.Label("", g.names[i], "", margin, y+thick-2)
			p.Rect("ready", "", margin+names+12, y, length, thick)
			p.Label("", ms(t), "", margin+names+12+length+8, y+thick-2)
			y += line
		}
		y += line
	}
	return p
}
