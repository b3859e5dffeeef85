package corpus

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// trait is a property of some of the containers.
type trait struct {
	percent int
	give    func(*maker, *corev1.Container)
}

// containerTraits apply to every container.
var containerTraits = []trait{
	{35, (*maker).environment},
	{25, func(m *maker, c *corev1.Container) { c.EnvFrom = m.envFrom() }},
	{30, func(m *maker, c *corev1.Container) {
		c.ImagePullPolicy = one(m, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
	}},
	{15, func(m *maker, c *corev1.Container) {
		c.TerminationMessagePath = one(m, "/dev/termination-log", "/tmp/why", "/var/log/end")
		c.TerminationMessagePolicy = one(m, corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)
	}},
	{12, func(_ *maker, c *corev1.Container) { c.WorkingDir = "/srv" }},
	{10, func(m *maker, c *corev1.Container) { c.Stdin, c.StdinOnce, c.TTY = true, m.chance(50), m.chance(70) }},
	{20, (*maker).morePorts},
	{45, (*maker).secure},
}

// supervisedTraits apply to all containers except plain init containers.
var supervisedTraits = []trait{
	{30, func(m *maker, c *corev1.Container) { c.StartupProbe = m.probe(c); c.StartupProbe.SuccessThreshold = 0 }},
	{45, func(m *maker, c *corev1.Container) { c.ReadinessProbe = m.probe(c) }},
	{35, func(m *maker, c *corev1.Container) {
		c.LivenessProbe = m.probe(c)
		c.LivenessProbe.SuccessThreshold = 0
		if m.chance(30) {
			c.LivenessProbe.TerminationGracePeriodSeconds = new(int64(10))
		}
	}},
	{45, (*maker).hooks},
}

// dressContainers applies traits to the containers.
func (m *maker) dressContainers() {
	for i, c := range m.containers() {
		m.sayCommand(c)
		traits := containerTraits
		if i >= len(m.pod.Spec.InitContainers) || c.RestartPolicy != nil {
			traits = slices.Concat(containerTraits, supervisedTraits)
		}
		for _, t := range traits {
			if m.chance(t.percent) {
				t.give(m, c)
			}
		}
	}
}

// sayCommand removes some commands, as if the image defined them, and names them in the
// annotation: for a container without any command, for one with args only, or for one with
// a complete command.
func (m *maker) sayCommand(c *corev1.Container) {
	if len(c.Command) == 0 || !m.asked(c.Name) || !m.chance(22) {
		return
	}
	words := make([]string, 0, len(c.Command)+len(c.Args))
	for _, word := range slices.Concat(c.Command, c.Args) {
		words = append(words, quote(word))
	}
	m.notes["command"] += c.Name + ": [" + strings.Join(words, ", ") + "]\n"
	switch m.IntN(5) {
	case 0, 1:
		c.Command, c.Args = nil, nil
	case 2, 3:
		c.Command, c.Args = nil, []string{"serve", "--verbose"}
	}
}

// probe returns a probe of any kind. koordinator itself runs awaited probes, and does not
// support gRPC with TLS.
func (m *maker) probe(c *corev1.Container) *corev1.Probe {
	name, number := m.portOf(c)
	port := intstr.FromInt32(number)
	if name != "" {
		port = intstr.FromString(name)
	}
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		port = intstr.FromInt32(number) // the API rejects a number as text
	}
	host := ""
	if !m.restricted {
		host = one(m, "", "127.0.0.1")
	}
	p := &corev1.Probe{ProbeHandler: one(m,
		corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/sh", "-c", "test -e /tmp/ready-$(REGION) && echo $$"}}},
		corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: "/healthz?full=$1", Port: port, Scheme: one(m, "", corev1.URISchemeHTTP, corev1.URISchemeHTTPS),
			HTTPHeaders: one(m, nil, []corev1.HTTPHeader{{Name: "X-Probe", Value: "kubelet, $(REGION)"}}),
		}},
		corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: port, Host: host}},
		corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: number, Service: one(m, nil, new("shop.v1.Cart"))}},
	)}
	if m.chance(60) {
		p.InitialDelaySeconds, p.TimeoutSeconds, p.PeriodSeconds = m.Int32N(20), 1+m.Int32N(5), 1+m.Int32N(15)
		p.SuccessThreshold, p.FailureThreshold = 1+m.Int32N(2), 1+m.Int32N(30)
	}
	return p
}

// hooks adds hooks of every kind that a kubelet supports.
func (m *maker) hooks(c *corev1.Container) {
	if m.story.fixed {
		return
	}
	c.Lifecycle = &corev1.Lifecycle{PostStart: m.hook(c), PreStop: m.hook(c)}
	if m.chance(30) || c.Lifecycle.PostStart == nil && c.Lifecycle.PreStop == nil {
		c.Lifecycle.StopSignal = new(one(m, corev1.SIGINT, corev1.SIGQUIT, corev1.SIGRTMINPLUS3, corev1.SIGTERM))
		m.pod.Spec.OS = &corev1.PodOS{Name: corev1.Linux} // required for a stop signal
	}
}

// sleepSeconds is the duration of sleep hooks.
const sleepSeconds = 5

func (m *maker) hook(c *corev1.Container) *corev1.LifecycleHandler {
	_, number := m.portOf(c)
	return one(m, nil,
		&corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/sh", "-c", "echo $(REGION) $$ > /proc/1/fd/1"}}},
		&corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/drain", Port: intstr.FromInt32(number), Scheme: one(m, "", corev1.URISchemeHTTP)}},
		&corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: sleepSeconds}},
	)
}

// environment adds literal variables, and variables from the pod, from resources and from
// other sources.
func (m *maker) environment(c *corev1.Container) {
	c.Env = append(c.Env, corev1.EnvVar{Name: "REGION", Value: "europe-west1"}, corev1.EnvVar{Name: "DAY", Value: "$(TODAY)-$$1 $REGION"})
	from := []corev1.EnvVarSource{
		{FieldRef: &corev1.ObjectFieldSelector{FieldPath: one(m, "metadata.name", "status.podIP", "spec.nodeName", "metadata.annotations['team']")}},
		{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory", Divisor: resource.MustParse("1Mi")}},
		{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}, Key: "region", Optional: new(true)}},
		{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}, Key: "password"}},
	}
	for i, name := range []string{"FROM_FIELD", "FROM_RESOURCE", "FROM_MAP", "FROM_SECRET"} {
		if m.chance(45) {
			c.Env = append(c.Env, corev1.EnvVar{Name: name, ValueFrom: &from[i]})
		}
	}
	if m.chance(30) {
		c.Env = append(c.Env, corev1.EnvVar{Name: "URL", Value: "http://$(HOST):8080/$(DAY)?a={\"b\":1}"}, corev1.EnvVar{Name: "EMPTY"})
	}
}

func (m *maker) envFrom() []corev1.EnvFromSource {
	return []corev1.EnvFromSource{one(m,
		corev1.EnvFromSource{Prefix: "CFG_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
		corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}, Optional: new(true)}},
	)}
}

// morePorts adds ports to that of the role.
func (m *maker) morePorts(c *corev1.Container) {
	c.Ports = append(c.Ports,
		corev1.ContainerPort{Name: "metrics", ContainerPort: 20000 + m.Int32N(1000)},
		corev1.ContainerPort{ContainerPort: 30000 + m.Int32N(1000), Protocol: one(m, corev1.ProtocolUDP, corev1.ProtocolSCTP)},
	)
	if !m.restricted && m.chance(20) {
		c.Ports[len(c.Ports)-1].HostPort = c.Ports[len(c.Ports)-1].ContainerPort
	}
}
