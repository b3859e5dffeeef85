package corpus

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// story defines the containers of a pod and their order.
type story struct {
	name       string                 // prefix of the templates' names
	restart    []corev1.RestartPolicy // one of these is chosen
	inits      []role
	containers []role
	notes      map[string]string // annotations, without the prefix
	label      string            // the value of the label essential-containers

	exits bool // a container waits for an exit, which records alone do not keep if containers are restarted
	late  bool // a container waits for one that keeps no record
	fixed bool // no options in addition to the annotations, and no hooks
}

// role describes a container of a story.
type role struct {
	name    string
	image   string
	command []string
	args    []string
	port    int32 // its port "http"; 0: none

	restart corev1.ContainerRestartPolicy
	rules   []corev1.ContainerRestartRule
	unasked bool // does not participate: no annotation names it
}

// The restart policies of a story.
var (
	forEver = []corev1.RestartPolicy{corev1.RestartPolicyAlways}
	once    = []corev1.RestartPolicy{corev1.RestartPolicyNever}
	toEnd   = []corev1.RestartPolicy{corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure}
	anyhow  = []corev1.RestartPolicy{corev1.RestartPolicyAlways, corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure}
)

// The containers of the stories.
var (
	app     = role{name: "app", image: "registry.example.com/shop/app:2.14.1", command: []string{"/app", "--listen=:8080"}, args: []string{"--region=$(REGION)"}, port: 8080}
	batch   = role{name: "batch", image: "registry.example.com:5000/shop/batch@sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", command: []string{"java", "-jar", "/batch.jar"}, args: []string{"--day", "$(DAY)"}}
	shell   = role{name: "import", image: "debian:12-slim", command: []string{"/bin/sh", "-ec", "echo $$ $(DAY) $HOME; exec /import < \"$FILE\""}}
	proxy   = role{name: "cloud-sql-proxy", image: "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.14", command: []string{"/cloud-sql-proxy"}, args: []string{"--port=5432", "--http-port=9090", "shop:europe-west1:db"}, port: 9090}
	cache   = role{name: "cache", image: "redis:7", command: []string{"redis-server", "--save", ""}, port: 6379}
	db      = role{name: "db", image: "postgres:16", command: []string{"docker-entrypoint.sh"}, args: []string{"postgres", "-c", "max_connections=100"}, port: 5432}
	mesh    = role{name: "mesh", image: "envoyproxy/envoy:v1.31", command: []string{"envoy", "-c", "/etc/envoy/envoy.yaml"}, port: 15021}
	logs    = role{name: "fluent-bit", image: "fluent/fluent-bit:3.1", command: []string{"/fluent-bit/bin/fluent-bit", "-c", "/etc/fluent-bit.conf"}}
	migrate = role{name: "migrate", image: "registry.example.com/shop/migrate:2.14.1", command: []string{"/migrate"}, args: []string{"up"}}
	report  = role{name: "report", image: "python:3.13", command: []string{"python", "-m", "report"}}
	prepare = role{name: "prepare", image: "busybox:1.37", command: []string{"sh", "-c", "until nslookup db; do sleep 1; done"}}
	metrics = role{name: "metrics", image: "prom/statsd-exporter:v0.28", port: 9102, unasked: true} // its image defines the command
)

// as returns a role with its own restart policy.
func (r role) as(policy corev1.ContainerRestartPolicy, rules ...corev1.ContainerRestartRule) role {
	r.restart, r.rules = policy, rules
	return r
}

// on returns a rule for an exit with a code.
func on(code int32, action corev1.ContainerRestartRuleAction) corev1.ContainerRestartRule {
	return corev1.ContainerRestartRule{
		Action:    action,
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{code}},
	}
}

const (
	native  = corev1.ContainerRestartPolicyAlways // makes an init container a native sidecar
	never   = corev1.ContainerRestartPolicyNever
	failing = corev1.ContainerRestartPolicyOnFailure
)

var stories = []story{
	{
		name: "job-with-proxy", restart: toEnd, containers: []role{batch, proxy}, exits: true,
		notes: map[string]string{"start-deps": "batch: cloud-sql-proxy", "stop-deps": "cloud-sql-proxy: batch"},
	},
	{
		name: "web", restart: forEver, containers: []role{app, cache, proxy, metrics},
		notes: map[string]string{"start-deps": "app: cache, cloud-sql-proxy=started\ncache: cloud-sql-proxy=started"},
	},
	{
		name: "migrate-first", restart: toEnd, containers: []role{batch, migrate, db}, exits: true,
		notes: map[string]string{
			"start-deps": "{batch: [migrate=succeeded, db], migrate: [{container: db, condition: ready}]}",
			"stop-deps":  "db: batch=succeeded",
		},
	},
	{
		name: "migrate-once", restart: forEver, containers: []role{migrate.as(never), app, logs}, exits: true,
		notes: map[string]string{"start-deps": "app: migrate=succeeded"},
	},
	{
		name: "migrate-retried", restart: forEver, containers: []role{app, migrate.as(failing), cache}, exits: true,
		notes: map[string]string{"start-deps": `{"app": ["cache", {"container": "migrate", "condition": "exited"}]}`},
	},
	{
		name: "report-after", restart: once, containers: []role{batch, report, proxy, logs}, exits: true,
		notes: map[string]string{
			"start-deps": "batch: cloud-sql-proxy\nreport: batch=exited",
			"stop-deps":  "cloud-sql-proxy: [batch, report]\nfluent-bit: report",
			"stop-when":  "all",
		},
	},
	{
		name: "restart-rules", restart: once, exits: true,
		containers: []role{batch.as(never, on(42, corev1.ContainerRestartRuleActionRestart)), logs, metrics},
		notes:      map[string]string{"stop-deps": "fluent-bit: batch=failed"},
	},
	{
		name: "restart-all", restart: once, exits: true,
		containers: []role{shell.as(never, on(75, corev1.ContainerRestartRuleActionRestartAllContainers)), cache},
		notes:      map[string]string{"start-deps": "import: cache?", "stop-deps": "cache: import"},
	},
	{
		name: "essential", restart: once, containers: []role{batch, db, logs}, exits: true,
		notes: map[string]string{"essential": "[batch, db=failed]", "start-deps": "batch: db"},
	},
	{
		name: "essential-label", restart: toEnd, containers: []role{shell, cache, metrics}, exits: true, label: "import",
	},
	{
		name: "essential-upload", restart: once, containers: []role{batch, report, logs}, exits: true, label: "batch",
		notes: map[string]string{"essential": "batch", "start-deps": "report: batch=succeeded"},
	},
	{
		name: "init-order", restart: anyhow, inits: []role{mesh.as(native), prepare, cache.as(native), migrate}, containers: []role{app, logs},
		notes: map[string]string{"start-deps": "prepare: mesh\ncache: mesh=ready, prepare=succeeded\nmigrate: cache\napp: mesh, migrate=exited, cache=started"},
	},
	{
		name: "init-only", restart: anyhow, inits: []role{prepare, mesh.as(native), migrate}, containers: []role{app, metrics},
		notes: map[string]string{"start-deps": "migrate: mesh=started"},
	},
	{
		name: "spec-form", restart: toEnd, containers: []role{batch, proxy, logs}, exits: true, fixed: true,
		notes: map[string]string{"spec": `batch: {startDeps: [cloud-sql-proxy], startTimeout: 5m, onStartTimeout: start, logLevel: debug}
cloud-sql-proxy: {stopDeps: [batch], stopHTTP: POST http://127.0.0.1:9091/quitquitquit, stoppedExitCode: child, killedExitCode: 137}
fluent-bit: {stopDeps: "batch, cloud-sql-proxy=failed", stopWhen: any, stopDelay: 2s, stopSignal: SIGINT, stopTimeout: 10s, mode: supervise}`},
	},
	{
		name: "spec-json", restart: forEver, containers: []role{app, cache}, fixed: true,
		notes: map[string]string{"spec": `{"app": {"startDeps": [{"container": "cache", "condition": "started", "optional": true}], "source": "auto"}}`},
	},
	{
		name: "late", restart: anyhow, containers: []role{app, cache}, late: true,
		notes: map[string]string{"start-deps": "app: istio-proxy, cache?"},
	},
	{
		name: "slow-stop", restart: anyhow, containers: []role{app, metrics},
		notes: map[string]string{"stop-delay": "app: 5s"},
	},
	{
		name: "watchdog", restart: once, containers: []role{batch, logs, cache}, exits: true,
		notes: map[string]string{"stop-deps": "fluent-bit: batch=failed\ncache: batch=succeeded, fluent-bit"},
	},
	{
		name: "quit-by-http", restart: once, containers: []role{shell, mesh}, exits: true,
		notes: map[string]string{
			"start-deps": "import: mesh", "stop-deps": "mesh: import",
			"stop-http": "mesh: POST http://127.0.0.1:15020/quitquitquit?why=$done",
		},
	},
	{
		name: "not-wrapped-sidecar", restart: once, containers: []role{batch, metrics}, exits: true,
		notes: map[string]string{"exit-http": "batch: [POST http://127.0.0.1:9102/-/quit, GET http://127.0.0.1:9102/bye]"},
	},
	{
		name: "exec-mode", restart: once, containers: []role{report, migrate}, exits: true, fixed: true,
		notes: map[string]string{"start-deps": "report: migrate=succeeded", "mode": "report: exec"},
	},
	{
		name: "endpoints", restart: anyhow, containers: []role{app, cache, metrics},
		notes: map[string]string{
			"start-deps": "app: [tcp://db.shop:5432, \"http://search.shop:9200/_cluster/health?\", cache]\ncache: \"dns://db.shop, file:///etc/hosts\"",
		},
	},
	{
		name: "mesh-for-all", restart: once, containers: []role{batch, report}, exits: true, late: true,
		notes: map[string]string{"start-deps": "batch: istio-proxy", "stop-deps": `istio-proxy: "*"`, "stop-when": "all"},
	},
	{
		name: "restart-together", restart: forEver, containers: []role{app, proxy, metrics},
		notes: map[string]string{"start-deps": "app: cloud-sql-proxy", "restart-with": "app: cloud-sql-proxy"},
	},
	{
		name: "set", restart: forEver, inits: []role{prepare}, containers: []role{db, app, proxy},
		notes: map[string]string{"start-deps": "app: db\ndb: cloud-sql-proxy=ready", "stop-deps": "cloud-sql-proxy: db"},
	},
}

// tell adds the story's containers and its order to the pod.
func (m *maker) tell() {
	m.note(m.story.notes)
	if m.story.label != "" {
		m.pod.Labels["essential-containers"] = m.story.label
	}
	for _, r := range m.story.inits {
		m.pod.Spec.InitContainers = append(m.pod.Spec.InitContainers, m.act(r))
	}
	for _, r := range m.story.containers {
		m.pod.Spec.Containers = append(m.pod.Spec.Containers, m.act(r))
	}
}

// act returns the container of a role.
func (m *maker) act(r role) corev1.Container {
	c := corev1.Container{Name: r.name, Image: r.image, Command: r.command, Args: r.args, RestartPolicyRules: r.rules}
	if r.restart != "" {
		c.RestartPolicy = &r.restart
	}
	if r.port != 0 {
		c.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: r.port, Protocol: one(m, "", corev1.ProtocolTCP)}}
	}
	if len(r.command) > 0 && len(r.args) > 0 && m.chance(20) {
		c.Command, c.Args = slices.Concat(r.command, r.args), nil
	}
	if m.restricted {
		c.SecurityContext = restrictedContainer()
	}
	return c
}

// asked reports whether koordinator must wrap the container with a name.
func (m *maker) asked(name string) bool {
	for _, r := range m.story.containers {
		if r.name == name {
			return !r.unasked
		}
	}
	return true
}

// portOf returns a container's port in the form in which a probe or hook refers to it: as a
// number or by its name.
func (m *maker) portOf(c *corev1.Container) (name string, number int32) {
	if len(c.Ports) == 0 {
		return "", 1 + m.Int32N(30000)
	}
	p := c.Ports[0]
	return one(m, p.Name, strconv.Itoa(int(p.ContainerPort)), ""), p.ContainerPort
}
