package corpus

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// amounts takes a list of name, quantity, name, quantity …
func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

// resourceKinds lists the kinds of resources that a pod may request. All kinds are equally frequent.
var resourceKinds = []func(*maker){
	func(*maker) {}, // BestEffort
	func(m *maker) { // Guaranteed
		m.everyone(corev1.ResourceRequirements{Requests: amounts("cpu", "250m", "memory", "128Mi"), Limits: amounts("cpu", "250m", "memory", "128Mi")})
	},
	func(m *maker) { // Guaranteed, because missing requests default to the limits
		m.everyone(corev1.ResourceRequirements{Limits: amounts("cpu", "1", "memory", "1Gi")})
	},
	func(m *maker) {
		m.everyone(corev1.ResourceRequirements{Requests: amounts("cpu", "100m", "memory", "64Mi")})
	},
	func(m *maker) {
		m.everyone(corev1.ResourceRequirements{Requests: amounts("cpu", "100m"), Limits: amounts("memory", "512Mi", "ephemeral-storage", "2Gi")})
	},
	func(m *maker) { // only one container has resources
		m.containers()[0].Resources = corev1.ResourceRequirements{Requests: amounts("memory", "32Mi")}
	},
	func(m *maker) { // still BestEffort
		m.everyone(corev1.ResourceRequirements{Requests: amounts("ephemeral-storage", "1Gi"), Limits: amounts("ephemeral-storage", "4Gi")})
	},
	func(m *maker) { // still BestEffort
		m.containers()[0].Resources = corev1.ResourceRequirements{Limits: amounts("nvidia.com/gpu", "1")}
	},
	func(m *maker) { // still BestEffort
		m.everyone(corev1.ResourceRequirements{Requests: amounts("cpu", "0")})
	},
	func(m *maker) { // Guaranteed by the pod's resources
		m.whole(corev1.ResourceRequirements{Requests: amounts("cpu", "2", "memory", "1Gi"), Limits: amounts("cpu", "2", "memory", "1Gi")})
	},
	func(m *maker) {
		m.whole(corev1.ResourceRequirements{Requests: amounts("cpu", "1")})
		if m.chance(50) {
			m.containers()[0].Resources = corev1.ResourceRequirements{Requests: amounts("cpu", "100m"), Limits: amounts("memory", "64Mi")}
		}
	},
}

// resources adds resources of one kind to the pod.
func (m *maker) resources() {
	resourceKinds[m.IntN(len(resourceKinds))](m)
	if c := m.containers()[0]; m.chance(20) && len(c.Resources.Requests) > 0 {
		c.ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.NotRequired}}
	}
}

// everyone sets the same resources for all containers.
func (m *maker) everyone(r corev1.ResourceRequirements) {
	for _, c := range m.containers() {
		c.Resources = *r.DeepCopy()
	}
}

// whole sets resources at the level of the pod.
func (m *maker) whole(r corev1.ResourceRequirements) { m.pod.Spec.Resources = &r }
