package inject

import (
	"fmt"
	"slices"
	"strings"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// engine is a system that creates pods, monitors them from outside, and stops
// some of their containers itself.
type engine struct {
	name  string
	label string // of its pods; "": the names of its containers identify them
	owns  func(container string) bool
}

// engines are the systems whose containers no essential container stops: a step
// that has not had its turn would count as done, and a result would be lost.
//
// Tekton: pkg/apis/pipeline/register.go (label), pkg/pod/entrypoint.go (names).
// Argo Workflows: workflow/common/common.go. Airflow: PodDefaults in
// providers/cncf/kubernetes/utils/xcom_sidecar.py. GitLab: "Kubernetes executor"
// in the documentation of GitLab Runner.
var engines = []engine{
	{tekton, "tekton.dev/taskRun", func(c string) bool { return strings.HasPrefix(c, stepPrefix) }},
	{"Argo Workflows", "workflows.argoproj.io/workflow", func(c string) bool { return c == "wait" }},
	{"Airflow", "", func(c string) bool { return c == "airflow-xcom-sidecar" }},
	{"GitLab Runner", "job.runner.gitlab.com/pod", func(c string) bool { return c == "build" || c == "helper" }},
}

const (
	tekton     = "Tekton"
	stepPrefix = "step-" // prefix of the names of its steps
)

// engineOf returns the engine that a container belongs to.
func (in *input) engineOf(c container) (engine, bool) {
	i := slices.IndexFunc(engines, func(e engine) bool {
		_, labelled := in.pod.Labels[e.label]
		return (labelled || e.label == "") && e.owns(c.Name)
	})
	if i < 0 {
		return engine{}, false
	}
	return engines[i], true
}

// checkEngines warns of Tekton steps that wait indefinitely for the step before
// them if its command never runs.
func (in *input) checkEngines(n *messages.Notes) {
	for i, c := range in.containers {
		e, found := in.engineOf(c)
		deps := in.asked.Wishes[c.Name].Spec.StartDeps
		if !found || e.name != tekton || len(deps) == 0 {
			continue
		}
		var later []string
		for _, next := range in.containers[i+1:] {
			if strings.HasPrefix(next.Name, stepPrefix) && !followsFailure(in.asked.Wishes[next.Name].Spec, c.Name, deps) {
				later = append(later, fmt.Sprintf("%q", next.Name))
			}
		}
		if len(later) > 0 {
			n.Warn(in.asked.Wishes[c.Name].Places["startDeps"], messages.TektonStepsWait, c.Name,
				fmt.Sprintf("if %q cannot start, the steps after it (%s) wait until the TaskRun times out, because Tekton's entrypoint in %q never runs", c.Name, strings.Join(later, ", "), c.Name),
				fmt.Sprintf("Give them the same start dependencies, or stop-deps: \"%s: %s=failed\"", strings.Trim(later[0], `"`), c.Name))
		}
	}
}

// followsFailure reports whether a step ends when an earlier one cannot start,
// because it is stopped by that failure or has the same start dependencies.
func followsFailure(s spec.Spec, earlier string, deps []spec.Dependency) bool {
	stopped := slices.ContainsFunc(s.StopDeps, func(d spec.Dependency) bool {
		return d.Container == earlier && d.Condition != spec.Succeeded
	})
	lacks := func(d spec.Dependency) bool { return !slices.Contains(s.StartDeps, d) }
	return stopped || !slices.ContainsFunc(deps, lacks)
}
