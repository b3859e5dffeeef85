package spec

import (
	"encoding/json"
	"fmt"
	"slices"
)

// The restart policies of pods and containers.
const (
	RestartAlways    = "Always"
	RestartOnFailure = "OnFailure"
	RestartNever     = "Never"
)

// Restart is a container's effective restart policy: its own where it has one
// (Kubernetes ≥ 1.34), with its rules, else the pod's.
type Restart struct {
	Policy string        `json:"policy"` // "": not known, nothing is for good
	Rules  []RestartRule `json:"rules,omitempty"`
}

// RestartRule is a v1.ContainerRestartRule (KEP-5307, KEP-5532).
type RestartRule struct {
	Action    string     `json:"action"`
	ExitCodes *ExitCodes `json:"exitCodes,omitempty"`
}

// ExitCodes are those that a rule is about.
type ExitCodes struct {
	Operator string `json:"operator"` // In, NotIn
	Values   []int  `json:"values,omitempty"`
}

// ForGood tells whether the kubelet does not start the container again after
// it exited with code.
func (r Restart) ForGood(code int) bool {
	switch r.Rule(code) {
	case "Restart", "RestartAllContainers":
		return false
	}
	return r.Policy == RestartNever || r.Policy == RestartOnFailure && code == 0
}

// Rule is the action of the first rule that code matches, "" when none does.
func (r Restart) Rule(code int) string {
	for _, rule := range r.Rules {
		if rule.ExitCodes == nil {
			continue
		}
		in := slices.Contains(rule.ExitCodes.Values, code)
		if in && rule.ExitCodes.Operator == "In" || !in && rule.ExitCodes.Operator == "NotIn" {
			return rule.Action
		}
	}
	return ""
}

func parseRestart(v json.RawMessage, to *Restart) error {
	var r Restart
	if members, ok := splitObject(string(v)); ok && len(members) == 1 && members[0].key == "policy" {
		policy, err := scalar(members[0].value) // nearly always all there is
		if err != nil {
			return err
		}
		r.Policy = policy
	} else if err := strict(v, &r); err != nil {
		return err
	}
	if !slices.Contains([]string{RestartAlways, RestartOnFailure, RestartNever}, r.Policy) {
		return fmt.Errorf("unknown policy %q (one of Always, OnFailure, Never)", r.Policy)
	}
	*to = r
	return nil
}
