// Package corpus makes up pod templates as people write them: of every kind of
// workload, with everything that the pod's API has, and with annotations of
// koordinator's. All of them are right: a cluster takes each, and koordinator
// injects it. They come out of a grammar, the same in each run: a story (who is
// in the pod and in which order they start and stop) and traits of the pod and
// of its containers.
package corpus

import (
	"fmt"
	"maps"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Size is how many templates there are.
const Size = 420

// seed makes the templates the same in each run.
const seed = 2026

// restrictedEvery says that every third template meets Pod Security
// "restricted".
const restrictedEvery = 3

// Label is on every template, with its name as the value.
const Label = "corpus"

// ServiceAccount is the one that some templates name. It has to be there, unlike
// the secrets, config maps and claims that they name.
const ServiceAccount = "shop"

// LateSidecar is a container that some templates wait for and do not have:
// another webhook adds it.
const LateSidecar = "istio-proxy"

// Template is a pod as it is sent to the API server, for no namespace in
// particular.
type Template struct {
	Name       string
	Pod        *corev1.Pod
	Restricted bool // meets Pod Security "restricted"
}

// Templates makes all of them, new ones in each call. Every command is known
// from the template, so that no image is looked up.
func Templates() []Template {
	all := make([]Template, Size)
	for i := range all {
		all[i] = template(i)
	}
	return all
}

// maker makes one template.
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

// one is any of the values.
func one[T any](m *maker, values ...T) T { return values[m.IntN(len(values))] }

func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

// containers are all of the pod, init containers first.
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

// annotate adds an annotation that is not koordinator's.
func (m *maker) annotate(key, value string) {
	if m.pod.Annotations == nil {
		m.pod.Annotations = map[string]string{}
	}
	m.pod.Annotations[key] = value
}

// note adds annotations of koordinator's, given without the prefix.
func (m *maker) note(notes map[string]string) { maps.Copy(m.notes, notes) }
