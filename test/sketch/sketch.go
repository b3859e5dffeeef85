// Package sketch creates pods from a few words, for tests of messages about pods.
package sketch

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// Annotations returns koordinator's annotations with these names, without the prefix, and
// values. It adds one annotation that does not belong to koordinator.
func Annotations(pairs ...string) map[string]string {
	annotations := map[string]string{"other.io/x": "y"}
	for i := 0; i < len(pairs); i += 2 {
		annotations["koordinator.io/"+pairs[i]] = pairs[i+1]
	}
	return annotations
}

// Pod creates a pod from words: the restart policy, followed by the containers, as "main",
// "init:migrate", "sidecar:proxy", with an own restart policy "main/Never", or also with
// the exit codes after which it is restarted "main/Never+1,2" ("*": all). Each container
// has a command and a token for the API server. Pod panics if the codes are not numbers.
func Pod(words string, annotations map[string]string) *corev1.Pod {
	policy, names, _ := strings.Cut(words, " ")
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: annotations},
		Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicy(policy)},
	}
	for word := range strings.FieldsSeq(names) {
		kind, name, found := strings.Cut(word, ":")
		if !found {
			kind, name = "", word
		}
		c := container(name)
		switch kind {
		case "":
			pod.Spec.Containers = append(pod.Spec.Containers, c)
			continue
		case "sidecar":
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	}
	return pod
}

// container creates a container from a word without its kind.
func container(word string) corev1.Container {
	name, own, _ := strings.Cut(word, "/")
	own, codes, _ := strings.Cut(own, "+")
	c := corev1.Container{
		Name: name, Image: name, Command: []string{"/" + name},
		VolumeMounts: []corev1.VolumeMount{{Name: "token", MountPath: spec.APIAccess}},
	}
	if own != "" {
		c.RestartPolicy = new(corev1.ContainerRestartPolicy(own))
		c.RestartPolicyRules = restartRules(codes)
	}
	return c
}

// restartRules returns rules that restart a container after these exit codes.
func restartRules(codes string) []corev1.ContainerRestartRule {
	when := &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpNotIn}
	switch codes {
	case "":
		return nil
	case "*":
	default:
		when.Operator = corev1.ContainerRestartRuleOnExitCodesOpIn
		for code := range strings.SplitSeq(codes, ",") {
			n, err := strconv.ParseInt(code, 10, 32)
			if err != nil {
				panic(fmt.Sprintf("exit code of a rule: %v", err))
			}
			when.Values = append(when.Values, int32(n))
		}
	}
	return []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleActionRestart, ExitCodes: when}}
}
