//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// notes holds annotations, their names without koordinator.io/.
type notes map[string]string

// metadata returns a pod's metadata as JSON, which is YAML as well.
func (n notes) metadata(name string) string {
	annotations := map[string]string{}
	for key, value := range n {
		annotations["koordinator.io/"+key] = value
	}
	data, err := json.Marshal(map[string]any{"name": name, "labels": map[string]string{"e2e": ""}, "annotations": annotations})
	if err != nil {
		panic(err)
	}
	return string(data)
}

// podOf returns the manifest of a pod with the label e2e. spec is YAML, indented by two,
// and begins with a newline.
func podOf(name string, n notes, spec string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: " + n.metadata(name) + "\nspec:" + spec
}

// jobOf returns the manifest of a Job with such a pod. own is a line of the Job's own spec.
func jobOf(name string, n notes, own, spec string) string {
	return fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s}\nspec:\n  %s\n  template:\n    metadata: %s\n    spec:%s",
		name, own, n.metadata(name), strings.ReplaceAll(spec, "\n", "\n    "))
}

// answering is a ConfigMap named script. Its answer.sh answers one HTTP request
// on its standard input with 200, and keeps the request's first line in
// /tmp/asked.
const answering = `
apiVersion: v1
kind: ConfigMap
metadata: {name: script}
data:
  answer.sh: |
    read request
    while read header && [ "$header" != "$(printf '\r')" ]; do :; done
    echo "$request" > /tmp/asked
    printf 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'
`

// inside runs a command in a container, as soon as the container runs.
func inside(t *testing.T, ns, pod, container string, command ...string) {
	t.Helper()
	eventually(t, "container "+container, func() (bool, string) {
		_, err := try(t, "", append([]string{"-n", ns, "exec", pod, "-c", container, "--"}, command...)...)
		return err == nil, fmt.Sprint(err)
	})
}

// says waits until a container's log contains text. pod is a name, or job/NAME.
func says(t *testing.T, ns, pod, container, text string) {
	t.Helper()
	eventually(t, container+" to say "+text, func() (bool, string) {
		out, err := try(t, "", "-n", ns, "logs", pod, "-c", container)
		return err == nil && strings.Contains(out, text), out
	})
}

// ends waits until containers of the namespace's one pod have ended, and
// returns the pod.
func ends(t *testing.T, ns string, containers ...string) corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	eventually(t, "the end of "+strings.Join(containers, ", "), func() (bool, string) {
		found := pods(t, ns, "e2e")
		if len(found) != 1 {
			return false, fmt.Sprintf("%d pods", len(found))
		}
		pod = found[0]
		ended := map[string]bool{}
		for _, s := range pod.Status.ContainerStatuses {
			ended[s.Name] = s.State.Terminated != nil
		}
		for _, name := range containers {
			if !ended[name] {
				return false, fmt.Sprintf("%s: %+v", name, pod.Status.ContainerStatuses)
			}
		}
		return true, ""
	})
	return pod
}
