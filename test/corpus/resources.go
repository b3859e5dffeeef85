package corpus

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// amounts is a list of name, quantity, name, quantity …
func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

// kinds of resources that a pod may ask for, each as often as the others.
var resourceKinds = []func(*maker){
	func(*maker) {}, // BestEffort
	func(m *maker) { // Guaranteed
		m.everyone(corev1.ResourceRequirements{Requests: amounts("cpu", "250m", "memory", "128Mi"), Limits: amounts("cpu", "250m", "memory", "128Mi")})
	},
	func(m *maker) { // Guaranteed, as requests are the limits where they are not given
		m.everyone(corev1.ResourceRequirements{Limits: amounts("cpu", "1", "memory", "1Gi")})
	},
	func(m *maker) {
		m.everyone(corev1.ResourceRequirements{Requests: amounts("cpu", "100m", "memory", "64Mi")})
	},
	func(m *maker) {
		m.everyone(corev1.ResourceRequirements{Requests: amounts("cpu", "100m"), Limits: amounts("memory", "512Mi", "ephemeral-storage", "2Gi")})
	},
	func(m *maker) { // only one of them
		m.containers()[0].Resources = corev1.ResourceRequirements{Requests: amounts("memory", "32Mi")}
	},
	func(m *maker) { // BestEffort all the same
		m.everyone(corev1.ResourceRequirements{Requests: amounts("ephemeral-storage", "1Gi"), Limits: amounts("ephemeral-storage", "4Gi")})
	},
	func(m *maker) { // BestEffort all the same
		m.containers()[0].Resources = corev1.ResourceRequirements{Limits: amounts("nvidia.com/gpu", "1")}
	},
	func(m *maker) { // BestEffort all the same
		m.everyone(corev1.ResourceRequirements{Requests: amounts("cpu", "0")})
	},
	func(m *maker) { // Guaranteed as a whole
		m.whole(corev1.ResourceRequirements{Requests: amounts("cpu", "2", "memory", "1Gi"), Limits: amounts("cpu", "2", "memory", "1Gi")})
	},
	func(m *maker) {
		m.whole(corev1.ResourceRequirements{Requests: amounts("cpu", "1")})
		if m.chance(50) {
			m.containers()[0].Resources = corev1.ResourceRequirements{Requests: amounts("cpu", "100m"), Limits: amounts("memory", "64Mi")}
		}
	},
}

// resources gives the pod resources of one kind.
func (m *maker) resources() {
	resourceKinds[m.IntN(len(resourceKinds))](m)
	if c := m.containers()[0]; m.chance(20) && len(c.Resources.Requests) > 0 {
		c.ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.NotRequired}}
	}
}

// everyone gives all containers the same resources.
func (m *maker) everyone(r corev1.ResourceRequirements) {
	for _, c := range m.containers() {
		c.Resources = *r.DeepCopy()
	}
}

// whole gives the pod resources for all its containers together.
func (m *maker) whole(r corev1.ResourceRequirements) { m.pod.Spec.Resources = &r }
