package corpus

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
)

// restrictedContainer returns the settings that Pod Security "restricted" requires in a
// container and cannot take from the pod.
func restrictedContainer() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// restrictedPod returns the settings that "restricted" requires, at the level of the pod.
func restrictedPod() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot:   new(true),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// secure adds a security context to a container, or extends its security context.
func (m *maker) secure(c *corev1.Container) {
	if c.SecurityContext == nil {
		c.SecurityContext = &corev1.SecurityContext{}
	}
	s := c.SecurityContext
	if m.chance(40) {
		s.RunAsUser = new(one(m, int64(1000), 65532, 1000680000))
	}
	if m.chance(30) {
		s.RunAsGroup = new(one(m, int64(1000), 0))
	}
	if m.chance(60) {
		s.ReadOnlyRootFilesystem = new(true)
	}
	if m.restricted {
		m.secureMore(s)
		return
	}
	switch m.IntN(6) {
	case 0:
		s.Privileged = new(true)
	case 1:
		s.Capabilities = &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}, Drop: []corev1.Capability{"MKNOD"}}
	case 2:
		s.RunAsUser = new(int64(0))
	case 3:
		s.SELinuxOptions = &corev1.SELinuxOptions{Type: "spc_t", Level: "s0:c123,c456"}
	case 4:
		s.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}
		s.AppArmorProfile = &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
	}
}

// secureMore adds settings that "restricted" allows.
func (m *maker) secureMore(s *corev1.SecurityContext) {
	switch m.IntN(4) {
	case 0:
		s.Capabilities.Add = []corev1.Capability{"NET_BIND_SERVICE"}
	case 1:
		s.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: new("shop.json")}
	case 2:
		s.RunAsNonRoot = new(true)
		s.AppArmorProfile = &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}
	}
}

// securePod adds a security context to the pod. In some restricted pods, each container
// sets what the pod could set for all.
func (m *maker) securePod() {
	s := &corev1.PodSecurityContext{}
	if m.restricted {
		s = restrictedPod()
	}
	if m.restricted && m.chance(35) {
		for _, c := range m.containers() {
			c.SecurityContext.RunAsNonRoot = s.RunAsNonRoot
			if c.SecurityContext.SeccompProfile == nil {
				c.SecurityContext.SeccompProfile = s.SeccompProfile
			}
		}
		s = &corev1.PodSecurityContext{}
	}
	if m.chance(30) {
		s.RunAsUser = new(one(m, int64(1000), 10001, 1000680000))
	}
	if !m.restricted && m.chance(10) {
		s.RunAsUser = new(int64(0))
	}
	if m.chance(20) {
		s.RunAsGroup = new(int64(2000))
	}
	if m.chance(30) {
		s.FSGroup = new(int64(3000))
		s.FSGroupChangePolicy = new(one(m, corev1.FSGroupChangeOnRootMismatch, corev1.FSGroupChangeAlways))
	}
	if m.chance(15) {
		s.SupplementalGroups = []int64{4000, 4001}
		s.SupplementalGroupsPolicy = new(one(m, corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict))
	}
	if m.chance(15) && !m.pod.Spec.HostNetwork {
		s.Sysctls = []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}}
	}
	if !reflect.ValueOf(*s).IsZero() {
		m.pod.Spec.SecurityContext = s
	}
}
