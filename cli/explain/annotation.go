package explain

import "koordinator.io/koordinator/webhook/inject"

// annotation describes an annotation.
type annotation struct {
	name    string // without the prefix
	means   string
	values  string
	initial string // the default
	example string // an example value
}

// annotationNamed returns the annotation with a name.
func annotationNamed(name string) (annotation, bool) {
	for _, a := range table {
		if a.name == name {
			return a, true
		}
	}
	return annotation{}, false
}

// entry returns the explanation of the annotation.
func (a annotation) entry(name string) Entry {
	e := Entry{Subject: inject.Prefix + name, Means: a.means, Values: a.values, Default: a.initial}
	if a.example != "" {
		e.Example = inject.Prefix + name + ": " + a.example
	}
	return e
}

const (
	perContainer = "a map from container to "
	orForAll     = ". A value without a container applies to every wrapped container"
)

// table describes every annotation, in the order in which the settings are listed.
var table = []annotation{
	{
		"start-deps", "The command of the container starts when all of these dependencies hold at the same moment. When the pod is deleted, the container also stops before the containers that it waited for with ready or started.",
		perContainer + "a list of name, name=CONDITION, name? (optional) or an endpoint (tcp://HOST:PORT, http://…, grpc://…, file:///PATH, dns://NAME). Conditions: ready (default), started, exited, succeeded. \"*\" stands for all other containers",
		"none", `"main: proxy, migrate=succeeded, cache?"`,
	},
	{
		"stop-deps", "The command of the container is stopped when one of these dependencies holds (all of them, with stop-when: all).",
		perContainer + "a list of name or name=CONDITION. Conditions: exited (default), succeeded, failed. \"*\" stands for all other containers",
		"none", `"proxy: main"`,
	},
	{"stop-when", "How many stop dependencies have to hold before the command is stopped.", perContainer + "any or all" + orForAll, "any", `"proxy: all"`},
	{
		"essential", "When an essential container has permanently exited, all other containers stop, except those that start only after its exit.",
		"a list of name or name=CONDITION. Conditions: exited (default), succeeded, failed", "none", "main",
	},
	{"start-timeout", "How long the container waits for its start dependencies, counted from the start of the wrapper. Then on-start-timeout decides.", perContainer + "a duration, for example 2m; 0s means no timeout" + orForAll, "none: wait indefinitely", `"main: 2m"`},
	{"on-start-timeout", "What happens after start-timeout: fail ends the container with exit code 124, start starts the command anyway.", perContainer + "fail or start" + orForAll, "fail", `"main: start"`},
	{"restart-with", "When the command of one of these containers ends after this one has started, this container is stopped and exits with code 75, so that the kubelet restarts it and it waits for its start dependencies again.", perContainer + "a list of names", "none", `"main: proxy"`},
	{"ready-when", "What makes the container ready for others: its probes, or READY=1 sent to the socket in NOTIFY_SOCKET.", perContainer + "probes or notify" + orForAll, "probes", `"db: notify"`},
	{"env-file", "Files with KEY=VALUE lines that are read after the start dependencies hold and right before the command starts. They are added to the environment of the command.", perContainer + "a list of absolute paths; /path? is optional", "none", `"main: /vault/secrets/env"`},
	{"stop-delay", "How long to delay the stop signal when the pod is deleted. It is part of the pod's grace period.", perContainer + "a duration" + orForAll, "0s", `"nginx: 5s"`},
	{"stop-signal", "The signal that stops the command.", perContainer + "a signal: SIGTERM, TERM, 15, SIGRTMIN+3" + orForAll, "the container's lifecycle.stopSignal, the image's STOPSIGNAL if the image was looked up, or SIGTERM", `"nginx: SIGQUIT"`},
	{"stop-timeout", "How long the command has to end after a stop dependency stopped it, before it receives SIGKILL.", perContainer + "a duration of more than 0s" + orForAll, "30s", `"proxy: 10s"`},
	{"stop-http", "A request that is sent instead of the signal when a stop dependency holds. The signal follows if the request fails or the command does not end.", perContainer + "GET, POST or PUT and a URL", "none", `"istio-proxy: POST http://127.0.0.1:15020/quitquitquit"`},
	{"exit-http", "Requests that are sent after the command has permanently exited.", perContainer + "a list of GET, POST or PUT and a URL", "none", `"main: POST http://127.0.0.1:15020/quitquitquit"`},
	{"stopped-exit-code", "The exit code that is reported if koordinator stopped the command and it ended in time.", perContainer + "0 to 255, or child for the command's own code" + orForAll, "0", `"proxy: child"`},
	{"killed-exit-code", "The exit code that is reported if koordinator had to kill the command.", perContainer + "0 to 255, or child for the command's own code" + orForAll, "0", `"proxy: 137"`},
	{"mode", "supervise: the wrapper stays and supervises the command. exec: the wrapper replaces itself by the command after waiting, so that the command is PID 1.", perContainer + "supervise or exec" + orForAll, "supervise, or exec if the container only waits and nothing depends on it", `"main: exec"`},
	{"source", "Where the facts about other containers come from. local: only from the records in the pod, without access to the API server. pod: from the pod's status. auto: records for wrapped containers, the status for all others.", perContainer + "auto, pod or local" + orForAll, "auto; local if the pod sets automountServiceAccountToken: false", "local"},
	{"gate", "false leaves the probes and hooks of a waiting container alone. By default a startup probe keeps the container from being ready, and from being killed by its liveness probe, while it waits.", perContainer + `"true" or "false"` + orForAll, `"true"`, `"false"`},
	{"command", "The full command of a container whose image cannot be looked up.", perContainer + "a list of strings", "command and args of the container, or those of its image", `{"main": ["/app", "--flag"]}`},
	{"log-level", "How much the wrapper logs to standard error.", perContainer + "error, info or debug" + orForAll, "info", `"main: debug"`},
	{"inject", "false: koordinator ignores the pod, whatever its other annotations are.", `"true" or "false"`, `"true"`, `"false"`},
	{"spec", "Several settings of a container in one object, by the names of the wrapper's fields.", perContainer + "an object", "none", `{"main": {"startDeps": ["proxy"]}}`},
	{"status", "Written by koordinator into each annotated pod that it processes: its version, the wrapped containers, or the reason why none is wrapped. koordinator never relies on it.", "written by koordinator", "", ""},
}

// conditions explains the conditions of dependencies.
var conditions = map[string]string{
	"started":   "The command of the container has started. It stays true when the command ends. For start dependencies.",
	"ready":     "The command of the container has started, and its startup and readiness probes, if it has any, have passed once since. It is false again when the command exits. The default of start dependencies.",
	"exited":    "The container has permanently exited, with any code. The default of stop dependencies; also for start dependencies.",
	"succeeded": "The command itself has permanently ended with code 0. A container that koordinator stopped has exited, but not succeeded. For start and stop dependencies.",
	"failed":    "The container has permanently exited and has not succeeded. For stop dependencies.",
}
