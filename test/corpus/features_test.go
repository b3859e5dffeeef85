package corpus

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// patterns matches features that must occur in the JSON of the templates.
var patterns = map[string]string{
	"no service account token":            `"automountServiceAccountToken":false`,
	"a service account":                   `"serviceAccountName":"shop"`,
	"a user of OpenShift's range":         `"runAsUser":1000680000`,
	"a read-only root":                    `"readOnlyRootFilesystem":true`,
	"privileged":                          `"privileged":true`,
	"added capabilities":                  `"add":\["NET_ADMIN"\]`,
	"a user namespace":                    `"hostUsers":false`,
	"a shared process namespace":          `"shareProcessNamespace":true`,
	"the host's network":                  `"hostNetwork":true`,
	"the host's processes":                `"hostPID":true`,
	"the host's IPC":                      `"hostIPC":true`,
	"a terminal":                          `"tty":true`,
	"standard input":                      `"stdin":true`,
	"standard input once":                 `"stdinOnce":true`,
	"only a request of memory":            `"resources":\{"requests":\{"memory":"32Mi"\}\}`,
	"requests of nothing":                 `"resources":\{"requests":\{"cpu":"0"\}\}`,
	"storage only":                        `"limits":\{"ephemeral-storage":"4Gi"\}`,
	"a device only":                       `"nvidia.com/gpu":"1"`,
	"a claim of a device":                 `"resources":\{[^}]*"claims":\[\{"name":"gpu"\}\]`,
	"a termination message of its own":    `"terminationMessagePath":"/tmp/why"`,
	"a message from the log":              `"terminationMessagePolicy":"FallbackToLogsOnError"`,
	"a liveness probe's own grace":        `"terminationGracePeriodSeconds":10`,
	"a named port in a probe":             `"port":"http"`,
	"TLS in a probe":                      `"scheme":"HTTPS"`,
	"headers in a probe":                  `"httpHeaders"`,
	"a stop signal":                       `"stopSignal":"SIG(INT|QUIT|RTMIN\+3)"`,
	"the operating system":                `"os":\{"name":"linux"\}`,
	"a mount of part of a volume":         `"subPath":`,
	"a mount of a named part of a volume": `"subPathExpr":`,
	"a mount beside our directory":        `"mountPath":"/koordinator\.d`,
	"a mount that propagates":             `"mountPropagation":`,
	"a read-only mount":                   `"recursiveReadOnly":`,
	"a block device":                      `"volumeDevices":`,
	"volumes in memory":                   `"medium":"Memory"`,
	"$(VAR) in the environment":           `"value":"\$\(TODAY\)-\$\$1 \$REGION"`,
	"node affinity":                       `"nodeAffinity"`,
	"pod affinity":                        `"podAffinity"`,
	"pod anti-affinity":                   `"podAntiAffinity"`,
	"plain init containers":               `"initContainers":\[.*"name":"prepare"`,
	"a rule that restarts":                `"action":"Restart"`,
	"a rule that restarts all":            `"action":"RestartAllContainers"`,
	"a command of the annotation":         `"koordinator\.io/command"`,
	"an image by digest":                  `@sha256:`,
	"a shell with $$":                     `echo \$\$ \$\(DAY\)`,
	"the essential label":                 `"essential-containers":`,
	"an optional dependency":              `koordinator\.io/start-deps":"[^"]*\?`,
	"a dependency on a late sidecar":      `koordinator\.io/start-deps":"[^"]*istio-proxy`,
	"a dependency as an object":           `condition`,
	"an endpoint":                         `koordinator\.io/start-deps":"[^"]*tcp://`,
	"an optional endpoint":                `_cluster/health\?`,
	"every other container":               `istio-proxy: \\"\*\\"`,
	"restart-with":                        `koordinator\.io/restart-with`,
	"no gate":                             `koordinator\.io/gate":"[^"]*false`,
	"exec mode":                           `koordinator\.io/mode":"[^"]*exec`,
	"facts from records":                  `koordinator\.io/source":"local`,
	"facts from the status":               `koordinator\.io/source":"pod`,
}

// shapes checks features that must occur in the templates and cannot be matched by a pattern.
var shapes = map[string]func(*corev1.Pod) bool{
	"a user of the pod's": func(p *corev1.Pod) bool {
		s := p.Spec.SecurityContext
		return s != nil && s.RunAsUser != nil && *s.RunAsUser > 0
	},
	"root for the pod": func(p *corev1.Pod) bool {
		s := p.Spec.SecurityContext
		return s != nil && s.RunAsUser != nil && *s.RunAsUser == 0
	},
	"not root, said by the pod": func(p *corev1.Pod) bool { s := p.Spec.SecurityContext; return s != nil && s.RunAsNonRoot != nil },
	"not root, said by each container": func(p *corev1.Pod) bool {
		return all(p, func(c corev1.Container) bool {
			return c.SecurityContext != nil && c.SecurityContext.RunAsNonRoot != nil
		})
	},
	"resources of the pod":    func(p *corev1.Pod) bool { return p.Spec.Resources != nil },
	"requests are the limits": func(p *corev1.Pod) bool { return all(p, func(c corev1.Container) bool { return asks(c, 2, 2) }) },
	"only limits":             func(p *corev1.Pod) bool { return all(p, func(c corev1.Container) bool { return asks(c, 0, 2) }) },
	"only requests":           func(p *corev1.Pod) bool { return all(p, func(c corev1.Container) bool { return asks(c, 2, 0) }) },
	"no requests, no limits": func(p *corev1.Pod) bool {
		return p.Spec.Resources == nil && all(p, func(c corev1.Container) bool { return asks(c, 0, 0) })
	},
	"no init container": func(p *corev1.Pod) bool { return len(p.Spec.InitContainers) == 0 },
	"a native sidecar":  func(p *corev1.Pod) bool { return slices.ContainsFunc(p.Spec.InitContainers, restarts(native)) },
	"a container that is never restarted in a pod that is": func(p *corev1.Pod) bool {
		return !neverRestarted(p) && slices.ContainsFunc(p.Spec.Containers, restarts(never))
	},
	"a container that is restarted when it fails": func(p *corev1.Pod) bool { return slices.ContainsFunc(p.Spec.Containers, restarts(failing)) },
	"a command and args": func(p *corev1.Pod) bool {
		return some(p, func(c corev1.Container) bool { return len(c.Command) > 0 && len(c.Args) > 0 })
	},
	"args alone": func(p *corev1.Pod) bool {
		return some(p, func(c corev1.Container) bool { return len(c.Command) == 0 && len(c.Args) > 0 })
	},
	"neither command nor args, by the annotation": func(p *corev1.Pod) bool {
		return some(p, func(c corev1.Container) bool {
			return len(c.Command)+len(c.Args) == 0 && strings.Contains(p.Annotations[prefix+"command"], c.Name+":")
		})
	},
	"neither command nor args, takes no part": func(p *corev1.Pod) bool {
		return some(p, func(c corev1.Container) bool { return len(c.Command)+len(c.Args) == 0 && c.Name == metrics.name })
	},
	"a token of our own": func(p *corev1.Pod) bool {
		mount := p.Spec.AutomountServiceAccountToken
		return mount != nil && !*mount && p.Annotations[prefix+"source"] == "pod"
	},
	"no name yet": func(p *corev1.Pod) bool { return p.Name == "" },
}

// neverRestarted reports whether the pod's containers are never restarted.
func neverRestarted(p *corev1.Pod) bool { return p.Spec.RestartPolicy == corev1.RestartPolicyNever }

func some(p *corev1.Pod, is func(corev1.Container) bool) bool {
	return slices.ContainsFunc(slices.Concat(p.Spec.InitContainers, p.Spec.Containers), is)
}

func all(p *corev1.Pod, are func(corev1.Container) bool) bool {
	return !some(p, func(c corev1.Container) bool { return !are(c) })
}

// restarts returns a function that finds containers with that restart policy of their own.
func restarts(policy corev1.ContainerRestartPolicy) func(corev1.Container) bool {
	return func(c corev1.Container) bool { return c.RestartPolicy != nil && *c.RestartPolicy == policy }
}

// asks reports whether a container has these numbers of requests and limits.
func asks(c corev1.Container, requests, limits int) bool {
	return len(c.Resources.Requests) == requests && len(c.Resources.Limits) == limits
}

// keys holds names that must each occur: fields by their JSON names, or values.
type keys struct {
	name    string
	pattern string // %s is the key
	of      []string
}

var lists = []keys{
	{"volume", `"name":"volume-\d+","%s":`, names[corev1.VolumeSource]()},
	{"startup probe", `"startupProbe":\{"%s"`, names[corev1.ProbeHandler]()},
	{"readiness probe", `"readinessProbe":\{"%s"`, names[corev1.ProbeHandler]()},
	{"liveness probe", `"livenessProbe":\{"%s"`, names[corev1.ProbeHandler]()},
	{"postStart", `"postStart":\{"%s"`, []string{"exec", "httpGet", "sleep"}}, // the kubelet does not run tcpSocket
	{"preStop", `"preStop":\{"%s"`, []string{"exec", "httpGet", "sleep"}},
	{"env from", `"valueFrom":\{"%s"`, []string{"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"}},
	{"envFrom", `"envFrom":\[\{[^\]]*"%s"`, []string{"configMapRef", "secretRef"}},
	{"restart policy", `"restartPolicy":"%s","|"restartPolicy":"%[1]s"\}`, []string{"Always", "OnFailure", "Never"}},
	{"pull policy", `"imagePullPolicy":"%s"`, []string{"Always", "IfNotPresent", "Never"}},
	{"protocol", `"protocol":"%s"`, []string{"TCP", "UDP", "SCTP"}},
	{"pod", `"%s":`, []string{
		"affinity", "tolerations", "topologySpreadConstraints", "nodeSelector", "imagePullSecrets", "dnsPolicy", "dnsConfig", "hostname", "subdomain",
		"setHostnameAsFQDN", "readinessGates", "schedulingGates", "schedulerName", "enableServiceLinks", "resourceClaims", "activeDeadlineSeconds",
		"ownerReferences", "finalizers", "fsGroup", "fsGroupChangePolicy", "supplementalGroups", "supplementalGroupsPolicy", "runAsGroup", "sysctls",
	}},
	{"container", `"%s":`, []string{"workingDir", "hostPort", "resizePolicy", "seLinuxOptions", "appArmorProfile", "localhostProfile", "terminationGracePeriodSeconds"}},
	{"start condition", `koordinator\.io/(start-deps|spec)":"[^"]*(\\"[^"]*)*=%s|condition\W+%[1]s`, []string{"started", "ready", "exited", "succeeded"}},
	{"stop condition", `koordinator\.io/(stop-deps|essential)":"[^"]*=%s`, []string{"succeeded", "failed"}},
	{"annotation", `koordinator\.io/%s":`, []string{
		"start-deps", "stop-deps", "essential", "stop-when", "start-timeout", "on-start-timeout", "stop-delay", "stop-signal", "stop-timeout",
		"stop-http", "exit-http", "stopped-exit-code", "killed-exit-code", "mode", "command", "source", "gate", "log-level", "inject", "spec", "env-file", "ready-when",
	}},
}

// names returns the JSON names of a type's fields, which are all optional.
func names[T any]() []string {
	var all []string
	for field := range reflect.TypeFor[T]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		all = append(all, name)
	}
	return all
}
