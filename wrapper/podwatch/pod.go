package podwatch

import (
	"encoding/json"
	"fmt"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// pod is the part of a v1.Pod from which the facts are derived; the other parts
// are not kept in memory. An ERROR event contains a v1.Status instead: then
// only the last two fields are set.
type pod struct {
	Metadata struct {
		Name              string `json:"name"`
		UID               string `json:"uid"`
		ResourceVersion   string `json:"resourceVersion"`
		DeletionTimestamp string `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		RestartPolicy  string          `json:"restartPolicy"`
		Grace          *int64          `json:"terminationGracePeriodSeconds"`
		InitContainers []containerSpec `json:"initContainers"`
		Containers     []containerSpec `json:"containers"`
	} `json:"spec"`
	Status podStatus `json:"status"`

	Code    int    `json:"code"`
	Message string `json:"message"`
}

// grace returns the pod's grace period, or 0 if it has none.
func (p *pod) grace() time.Duration {
	if p.Spec.Grace == nil {
		return 0
	}
	return time.Duration(*p.Spec.Grace) * time.Second
}

// containerSpec is a v1.Container.
type containerSpec struct {
	Name               string             `json:"name"`
	Command            []string           `json:"command"`
	RestartPolicy      string             `json:"restartPolicy"`
	RestartPolicyRules []spec.RestartRule `json:"restartPolicyRules"`
	StartupProbe       *struct{}          `json:"startupProbe"`
}

// podStatus is a v1.PodStatus.
type podStatus struct {
	Phase                 string            `json:"phase"`
	Reason                string            `json:"reason"`
	Message               string            `json:"message"`
	Conditions            []condition       `json:"conditions"`
	InitContainerStatuses []containerStatus `json:"initContainerStatuses"`
	ContainerStatuses     []containerStatus `json:"containerStatuses"`
}

// UnmarshalJSON skips the status field of a v1.Status, which is a string.
func (s *podStatus) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	type plain podStatus
	if err := json.Unmarshal(b, (*plain)(s)); err != nil {
		return fmt.Errorf("decode pod status: %w", err)
	}
	return nil
}

// condition is a v1.PodCondition.
type condition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

// containerStatus is a v1.ContainerStatus. Other fields, such as startedAt, add
// no information.
type containerStatus struct {
	Name         string `json:"name"`
	Ready        bool   `json:"ready"`
	Started      bool   `json:"started"`
	RestartCount int    `json:"restartCount"`
	ContainerID  string `json:"containerID"`
	StopSignal   string `json:"stopSignal"`
	State        state  `json:"state"`
	LastState    state  `json:"lastState"`
}

// state is a v1.ContainerState; if neither field is set, the container waits.
type state struct {
	Running    *struct{}   `json:"running"`
	Terminated *terminated `json:"terminated"`
}

// terminated is a v1.ContainerStateTerminated.
type terminated struct {
	ExitCode    int    `json:"exitCode"`
	Signal      int    `json:"signal"`
	Reason      string `json:"reason"`
	Message     string `json:"message"`
	ContainerID string `json:"containerID"`
}

// podList is the answer to a list.
type podList struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Items []pod `json:"items"`
}
