// Package corpus generates realistic pod templates: from every kind of workload, with all
// features of the pod API, and with koordinator's annotations. All of them are valid: a
// cluster accepts each one, and koordinator injects it. A grammar generates the same
// templates in each run. It combines a story (the containers of a pod and the order in
// which they start and stop) with traits of the pod and of its containers.
package corpus

import (
	"fmt"
	"maps"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Size is the number of templates.
const Size = 420

// seed makes the templates the same in each run.
const seed = 2026

// restrictedEvery is 3, so that every third template meets Pod Security "restricted".
const restrictedEvery = 3

// Label is a label of every template, with the template's name as its value.
const Label = "corpus"

// ServiceAccount is the service account of some templates. It must exist, unlike the
// secrets, config maps and claims in the templates.
const ServiceAccount = "shop"

// LateSidecar is a container that some templates wait for but do not contain: another
// webhook adds it.
const LateSidecar = "istio-proxy"

// Template is a pod in the form that is sent to the API server, without a namespace.
type Template struct {
	Name       string
	Pod        *corev1.Pod
	Restricted bool // the pod meets Pod Security "restricted"
}

// Templates generates all templates. Each call returns new copies. The templates contain
// every command, so that no image lookup is needed.
func Templates() []Template {
	all := make([]Template, Size)
	for i := range all {
		all[i] = template(i)
	}
	return all
}

// maker generates one template.
type maker struct {
	*rand.Rand

	number     int
	restricted bool
	story      story
	pod        *corev1.Pod
	notes      map[string]string // annotations, without the prefix
}

func template(number int) Template {
	m := &maker{
		Rand:   rand.New(rand.NewPCG(seed, uint64(number))),
		number: number, restricted: number%restrictedEvery == 0,
		story: stories[number%len(stories)],
		notes: map[string]string{},
	}
	name := fmt.Sprintf("%s-%03d", m.story.name, number)
	m.pod = &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{Label: name}},
		Spec:       corev1.PodSpec{RestartPolicy: one(m, m.story.restart...)},
	}
	m.tell()
	m.resources()
	m.dressContainers()
	m.dressPod()
	m.mountVolumes()
	m.order()
	return Template{Name: name, Pod: m.pod, Restricted: m.restricted}
}

// one returns a random one of the values.
func one[T any](m *maker, values ...T) T { return values[m.IntN(len(values))] }

func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

// containers returns all containers of the pod, init containers first.
func (m *maker) containers() []*corev1.Container {
	var all []*corev1.Container
	for i := range m.pod.Spec.InitContainers {
		all = append(all, &m.pod.Spec.InitContainers[i])
	}
	for i := range m.pod.Spec.Containers {
		all = append(all, &m.pod.Spec.Containers[i])
	}
	return all
}

// annotate adds an annotation that does not belong to koordinator.
func (m *maker) annotate(key, value string) {
	if m.pod.Annotations == nil {
		m.pod.Annotations = map[string]string{}
	}
	m.pod.Annotations[key] = value
}

// note adds koordinator's annotations, whose names are given without the prefix.
func (m *maker) note(notes map[string]string) { maps.Copy(m.notes, notes) }
