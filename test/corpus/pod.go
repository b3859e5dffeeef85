package corpus

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// podTraits lists properties of some pods, with the percentage of these pods.
var podTraits = []struct {
	percent int
	give    func(*maker, *corev1.PodSpec)
}{
	{30, func(m *maker, _ *corev1.PodSpec) { m.pod.GenerateName, m.pod.Name = m.pod.Name+"-", "" }},
	{12, func(m *maker, _ *corev1.PodSpec) {
		m.pod.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "batch/v1", Kind: "Job", Name: "owner", UID: "7b6ad4bc-0000-4000-8000-000000000000", Controller: new(true),
		}}
	}},
	{20, func(m *maker, _ *corev1.PodSpec) {
		m.pod.Labels["app.kubernetes.io/name"], m.pod.Labels["pod-template-hash"] = "shop", "5f6c7d8b9"
	}},
	{30, func(m *maker, _ *corev1.PodSpec) {
		m.annotate("prometheus.io/scrape", "true")
		m.annotate("kubectl.kubernetes.io/default-container", m.pod.Spec.Containers[0].Name)
		m.annotate("cluster-autoscaler.kubernetes.io/safe-to-evict", "false")
		m.annotate("team", `{"a~b/c": "$(x) $$"}`)
	}},
	{8, func(m *maker, _ *corev1.PodSpec) { m.pod.Finalizers = []string{"shop.example.com/keep"} }},
	{30, func(m *maker, s *corev1.PodSpec) {
		s.TerminationGracePeriodSeconds = new(max(m.sleeps(), one(m, int64(0), 5, 60, 600)))
	}},
	{12, func(_ *maker, s *corev1.PodSpec) { s.ActiveDeadlineSeconds = new(int64(3600)) }},
	{25, func(m *maker, s *corev1.PodSpec) { s.AutomountServiceAccountToken = new(m.chance(30)) }},
	{15, func(_ *maker, s *corev1.PodSpec) { s.ServiceAccountName = ServiceAccount }},
	{20, func(_ *maker, s *corev1.PodSpec) {
		s.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}, {Name: "mirror"}}
	}},
	{15, func(m *maker, s *corev1.PodSpec) { s.ShareProcessNamespace = new(m.chance(80)) }},
	{30, (*maker).namespaces},
	{15, func(_ *maker, s *corev1.PodSpec) {
		s.NodeSelector = map[string]string{"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}
	}},
	{15, func(m *maker, s *corev1.PodSpec) { s.Affinity = m.affinity() }},
	{15, func(_ *maker, s *corev1.PodSpec) {
		s.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}, {
			Key: "node.kubernetes.io/not-ready", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(30)),
		}}
	}},
	{15, func(m *maker, s *corev1.PodSpec) {
		s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: "topology.kubernetes.io/zone", WhenUnsatisfiable: one(m, corev1.DoNotSchedule, corev1.ScheduleAnyway),
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "shop"}},
		}}
	}},
	{12, func(m *maker, s *corev1.PodSpec) {
		s.DNSPolicy = one(m, corev1.DNSNone, corev1.DNSClusterFirst, corev1.DNSDefault)
		s.DNSConfig = &corev1.PodDNSConfig{
			Nameservers: []string{"10.0.0.10"}, Searches: []string{"example.com"}, Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: new("2")}},
		}
	}},
	{10, func(_ *maker, s *corev1.PodSpec) { s.Hostname, s.Subdomain = "web-0", "web" }},
	{8, func(_ *maker, s *corev1.PodSpec) { s.SetHostnameAsFQDN = new(true) }},
	{8, func(_ *maker, s *corev1.PodSpec) {
		s.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "target-health.example.com/lb"}}
	}},
	{6, func(_ *maker, s *corev1.PodSpec) {
		s.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/quota"}}
	}},
	{10, func(_ *maker, s *corev1.PodSpec) { s.SchedulerName = "batch-scheduler" }},
	{12, func(_ *maker, s *corev1.PodSpec) { s.EnableServiceLinks = new(false) }},
	{8, func(m *maker, s *corev1.PodSpec) {
		s.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: new("gpu")}}
		m.containers()[0].Resources.Claims = []corev1.ResourceClaim{{Name: "gpu"}}
	}},
}

// dressPod applies traits to the pod.
func (m *maker) dressPod() {
	for _, t := range podTraits {
		if m.chance(t.percent) {
			t.give(m, &m.pod.Spec)
		}
	}
	m.securePod()
}

// sleeps returns the shortest grace period that the API server accepts: longer than every
// sleep hook, or 0 if there is none.
func (m *maker) sleeps() int64 {
	for _, c := range m.containers() {
		if l := c.Lifecycle; l != nil && (l.PostStart != nil && l.PostStart.Sleep != nil || l.PreStop != nil && l.PreStop.Sleep != nil) {
			return sleepSeconds + 1
		}
	}
	return 0
}

// namespaces sets the host's namespaces, a user namespace for the pod, or shared
// namespaces. With a user namespace, the API server accepts neither the host's namespaces
// nor block devices.
func (m *maker) namespaces(s *corev1.PodSpec) {
	if m.restricted {
		s.HostUsers = new(m.chance(20))
		return
	}
	switch m.IntN(4) {
	case 0:
		s.HostUsers = new(false)
	case 1:
		s.HostPID, s.ShareProcessNamespace = true, nil
	case 2:
		s.HostIPC = true
	default:
		m.hostNetwork(s)
	}
}

// hostNetwork selects the node's network, where every container port is a port of the node.
func (m *maker) hostNetwork(s *corev1.PodSpec) {
	s.HostNetwork, s.DNSPolicy = true, corev1.DNSClusterFirstWithHostNet
	for _, c := range m.containers() {
		for i := range c.Ports {
			c.Ports[i].HostPort = c.Ports[i].ContainerPort
		}
	}
}

func (m *maker) affinity() *corev1.Affinity {
	term := corev1.PodAffinityTerm{
		TopologyKey:   "kubernetes.io/hostname",
		LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"web"}}}},
	}
	return one(m,
		&corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpNotIn, Values: []string{"slow"}}}}},
		}}},
		&corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}},
		&corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 100, PodAffinityTerm: term}},
		}},
	)
}
