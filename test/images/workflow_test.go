package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// workflow covers the parts of a GitHub workflow that the tests check.
type workflow struct {
	Name        string
	Permissions map[string]string
	Env         map[string]string
	Jobs        map[string]struct {
		Uses      string
		RunsOn    string         `json:"runs-on"`
		Timeout   int            `json:"timeout-minutes"`
		Container map[string]any `json:"container"`
		Steps     []struct{ Uses, Run string }
	}
}

// workflows returns the workflows of the repository, by path.
func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	paths, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	all := map[string]workflow{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var w workflow
		if err := yaml.Unmarshal(text, &w); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[filepath.Base(path)] = w
	}
	return all
}

// makefile returns the text of the Makefile.
func makefile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestWorkflowsCallTargetsThatExist also checks that a workflow calls every target of a release.
func TestWorkflowsCallTargetsThatExist(t *testing.T) {
	targets := regexp.MustCompile(`(?m)^\.PHONY: (\S+)$`).FindAllStringSubmatch(makefile(t), -1)
	call := regexp.MustCompile(`\bmake ([a-z0-9-]+)`)
	called := map[string]bool{}
	for path, w := range workflows(t) {
		for name, job := range w.Jobs {
			for _, step := range job.Steps {
				for _, found := range call.FindAllStringSubmatch(step.Run, -1) {
					called[found[1]] = true
					if !slices.ContainsFunc(targets, func(target []string) bool { return target[1] == found[1] }) {
						t.Errorf("%s, job %s: make %s: no such target", path, name, found[1])
					}
				}
			}
		}
	}
	for _, target := range []string{"test", "verify", "images", "sbom", "push", "push-chart", "sign", "package", "changelog"} {
		if !called[target] {
			t.Errorf("no workflow calls make %s", target)
		}
	}
}

// TestWorkflowsPinWhatTheyUse checks that actions are pinned to a complete version, and
// nothing to a branch.
func TestWorkflowsPinWhatTheyUse(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z0-9-]+/[a-z0-9-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})$`)
	for path, w := range workflows(t) {
		if len(w.Permissions) == 0 {
			t.Errorf("%s has no permissions: it would get the repository's default ones", path)
		}
		for name, job := range w.Jobs {
			if strings.HasPrefix(job.Uses, "./") {
				continue
			}
			if job.RunsOn == "" || job.RunsOn == "ubuntu-latest" || job.Timeout == 0 {
				t.Errorf("%s, job %s: runs on %q for at most %d minutes", path, name, job.RunsOn, job.Timeout)
			}
			if image := job.Container["image"]; image != nil && image != strings.TrimPrefix(base, "docker.io/library/")+"-bookworm" {
				t.Errorf("%s, job %s: container %v, the Dockerfiles build from %s", path, name, image, base)
			}
			for _, step := range job.Steps {
				if step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("%s, job %s: %s is not pinned to a version", path, name, step.Uses)
				}
			}
		}
	}
}

// TestTheReleaseNamesWhatTheMakefileReads checks that a target reads each variable that the
// release sets. Any other variable would be ignored silently.
func TestTheReleaseNamesWhatTheMakefileReads(t *testing.T) {
	for name := range workflows(t)["release.yml"].Env {
		if !strings.Contains(makefile(t), fmt.Sprintf("$(%s", name)) {
			t.Errorf("release.yml sets %s, which the Makefile does not read", name)
		}
	}
}
