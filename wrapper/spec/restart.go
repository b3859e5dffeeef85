package spec

import (
	"encoding/json"
	"slices"
)

// The restart policies of pods and containers.
const (
	RestartAlways    = "Always"
	RestartOnFailure = "OnFailure"
	RestartNever     = "Never"
)

// Restart is a container's effective restart policy: its own policy with its
// rules (Kubernetes 1.34 and later), or otherwise the pod's.
type Restart struct {
	Policy string        `json:"policy"` // "": not known, so no exit is permanent
	Rules  []RestartRule `json:"rules,omitempty"`
}

// RestartRule is a v1.ContainerRestartRule (KEP-5307, KEP-5532).
type RestartRule struct {
	Action    string     `json:"action"`
	ExitCodes *ExitCodes `json:"exitCodes,omitempty"`
}

// ExitCodes are the exit codes that a rule matches.
type ExitCodes struct {
	Operator string `json:"operator"` // In, NotIn
	Values   []int  `json:"values,omitempty"`
}

// ForGood reports whether the container has permanently exited after an exit
// with code.
func (r Restart) ForGood(code int) bool {
	switch r.Rule(code) {
	case "Restart", "RestartAllContainers":
		return false
	}
	return r.Policy == RestartNever || r.Policy == RestartOnFailure && code == 0
}

// Codes returns how many exit codes, starting at 0, are sufficient to show all
// differences that the policy makes: without rules, these are 0 and any other
// code.
func (r Restart) Codes() int {
	if len(r.Rules) == 0 {
		return 2
	}
	return 256
}

// Rule returns the action of the first rule that matches code, or "" if none
// does.
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
		policy, err := scalar(members[0].value) // the usual case
		if err != nil {
			return err
		}
		r.Policy = policy
	} else if err := strict(v, &r); err != nil {
		return err
	}
	*to = r
	if r.Policy == "" {
		return r.Check() // only a missing restart field means that the policy is not known
	}
	return nil
}

// Check returns the problem with the policy, if any.
func (r Restart) Check() error {
	if !slices.Contains([]string{RestartAlways, RestartOnFailure, RestartNever}, r.Policy) {
		return wrong(UnknownWord, r.Policy, "Use Always, OnFailure or Never", "%q is not a restart policy", r.Policy)
	}
	return nil
}
