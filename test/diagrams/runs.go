package main

import (
	"fmt"
	"time"

	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/input"
	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/cli/picture"
	"koordinator.io/koordinator/cli/simulate"
	"koordinator.io/koordinator/cli/timeline"
)

// The samples in the pictures.
const (
	jobSample        = "config/samples/job-with-sidecar.yaml"
	deploymentSample = "config/samples/deployment-in-order.yaml"
)

// start draws the run of a Job whose proxy needs three seconds until it is ready.
func start() (*picture.Picture, error) {
	return run(jobSample, simulate.Script{
		Ready:  map[string]time.Duration{"proxy": 3 * time.Second},
		Runs:   map[string]simulate.End{"main": {At: 2 * time.Second}},
		Delete: simulate.Never,
	})
}

// stop draws the run of a Deployment's pod that is deleted.
func stop() (*picture.Picture, error) {
	return run(deploymentSample, simulate.Script{Delete: 5 * time.Second})
}

// run simulates the pod of a sample.
func run(sample string, script simulate.Script) (*picture.Picture, error) {
	p, title, err := podIn(sample)
	if err != nil {
		return nil, err
	}
	o, err := order.Of(p.Pod, p.Place, p.Raw)
	if err != nil {
		return nil, err
	}
	outcome := simulate.Pod(title, o, script)
	if !outcome.Ends || len(outcome.Unused) > 0 {
		return nil, fmt.Errorf("%s: the pod does not end, or parts of the script have no effect: %v %v", sample, outcome.Hangs, outcome.Unused)
	}
	return timeline.Of(outcome.History).Picture(), nil
}

// podIn returns the pod that a sample describes, and the name of the object.
func podIn(sample string) (input.Pod, string, error) {
	objects, err := document.Objects(input.Options{Files: []string{sample}}, nil)
	if err != nil {
		return input.Pod{}, "", err
	}
	for _, o := range objects {
		if len(o.Pods) > 0 {
			return o.Pods[0], o.Object.Object.GetName(), nil
		}
	}
	return input.Pod{}, "", fmt.Errorf("%s describes no pod", sample)
}
