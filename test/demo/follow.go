package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"koordinator.io/koordinator/cli/command"
	"koordinator.io/koordinator/test/setup"
)

// patience is the timeout for the sample Job. The Job itself takes seconds, but its images
// may have to be pulled.
const patience = 5 * time.Minute

// pictures is the directory for the pictures of the demo.
const pictures = "bin/demo"

// follow applies the sample, shows the state of its containers until the Job has ended, and
// draws the timeline. It reports whether the Job completed.
func follow(ctx context.Context, c *setup.Cluster) (completed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := c.Kubectl(ctx, "", "-n", namespace, "apply", "-f", sample); err != nil {
		return false, err
	}
	if err := until(ctx, c, "pod", "-l", "job-name="+job, "-o", "name"); err != nil {
		return false, err
	}
	fmt.Printf("\nkubectl koordinator status job/%s -w\n", job)
	if err := tool(c, os.Stdout, "status", "job/"+job, "-w"); err != nil {
		return false, err
	}
	conditions := `jsonpath={.status.conditions[?(@.status=="True")].type}`
	if err := until(ctx, c, "job", job, "-o", conditions); err != nil {
		return false, err
	}
	ended, err := c.Kubectl(ctx, "", "-n", namespace, "get", "job", job, "-o", conditions)
	if err != nil {
		return false, err
	}
	fmt.Printf("\nkubectl koordinator timeline job/%s\n", job)
	if err := tool(c, os.Stdout, "timeline", "job/"+job); err != nil {
		return false, err
	}
	return strings.Contains(ended, "Complete"), draw(c)
}

// draw writes the timeline as a picture and as a page.
func draw(c *setup.Cluster) error {
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		return err
	}
	for _, format := range []string{"svg", "html"} {
		path := filepath.Join(pictures, "timeline."+format)
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		err = tool(c, f, "timeline", "job/"+job, "-o", format)
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
		fmt.Println("written:", path)
	}
	return nil
}

// tool runs kubectl koordinator.
func tool(c *setup.Cluster, out *os.File, args ...string) error {
	args = append(args, "-n", namespace)
	if c.Kubeconfig != "" {
		args = append(args, "--kubeconfig", c.Kubeconfig)
	}
	if code := command.Main(args, os.Stdin, out, os.Stderr); code != 0 {
		return fmt.Errorf("kubectl koordinator %s: exit code %d", strings.Join(args, " "), code)
	}
	return nil
}

// until waits until a kubectl get prints something.
func until(ctx context.Context, c *setup.Cluster, args ...string) error {
	for ctx.Err() == nil {
		out, err := c.Kubectl(ctx, "", append([]string{"-n", namespace, "get"}, args...)...)
		if err == nil && strings.TrimSpace(out) != "" {
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return fmt.Errorf("the Job did not end within %s: kubectl -n %s describe job,pod shows the reason", patience, namespace)
}
