package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/cli/history"
)

// Load reads saved evidence: a JSON file, or a directory with pod.yaml, events.yaml and
// the logs.
func Load(path string) ([]Evidence, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		e, err := loadDirectory(path)
		return []Evidence{e}, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []Evidence
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read %s: %w: save it with -o evidence", path, err)
	}
	return all, nil
}

// loadDirectory reads the output of kubectl get pod, kubectl get events and kubectl logs
// --timestamps.
func loadDirectory(dir string) (Evidence, error) {
	e := Evidence{Logs: map[string]history.Logs{}}
	if err := decode(dir, "pod", &e.Pod); err != nil {
		return e, err
	}
	var events corev1.EventList
	if err := decode(dir, "events", &events); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return e, err
	}
	e.Events = events.Items
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return e, err
	}
	e.Read = latest(&e.Pod)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return e, err
		}
		name := strings.TrimSuffix(filepath.Base(file), ".log")
		name, before := strings.CutSuffix(name, ".previous")
		logs := e.Logs[name]
		if before {
			logs.Previous = text
		} else {
			logs.Present = text
		}
		e.Logs[name] = logs
	}
	return e, nil
}

// latest returns the latest time in the pod's status.
func latest(pod *corev1.Pod) metav1.Time {
	last := pod.CreationTimestamp
	for _, c := range pod.Status.Conditions {
		if last.Before(&c.LastTransitionTime) {
			last = c.LastTransitionTime
		}
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, s := range list {
			if t := s.State.Terminated; t != nil && last.Before(&t.FinishedAt) {
				last = t.FinishedAt
			}
		}
	}
	return last
}

// decode reads NAME.yaml or NAME.json in a directory.
func decode(dir, name string, to any) error {
	text, err := os.ReadFile(filepath.Join(dir, name+".yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		text, err = os.ReadFile(filepath.Join(dir, name+".json"))
	}
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, to); err != nil {
		return fmt.Errorf("read %s of %s: %w", name, dir, err)
	}
	return nil
}
