package inject

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"koordinator.io/koordinator/wrapper/spec"
)

// The gate, a startup probe of ours. The call blocks until the command runs
// and fails every 30 s to say what it waits for, so the timeout is longer, the
// period as short as can be, and the number of failures without end.
const (
	gateTimeout  = 40
	gatePeriod   = 1
	gateFailures = 1<<31 - 1
)

// wrap puts koordinator in front of a container's command. Each part that is
// already as it should be is left alone.
func (j *job) wrap(c container, w Wish) {
	j.checkAccess(c, w)
	j.command(c, w)
	j.env(c, j.complete(c, w).Encode())
	j.mounts(c)
	j.gate(c, w)
}

// complete adds to a spec what only the pod knows.
func (j *job) complete(c container, w Wish) spec.Spec {
	s := w.Spec
	if c.TerminationMessagePath != "" {
		s.MessagePath = c.TerminationMessagePath
	}
	if c.Lifecycle == nil || c.Lifecycle.StopSignal == nil {
		return s
	}
	signal, err := spec.ParseSignal(string(*c.Lifecycle.StopSignal))
	if err != nil { // SIGKILL, which nobody can wait for
		j.refuse(c.place(), fmt.Sprintf("lifecycle.stopSignal: %v", err))
	}
	s.RequestSignal = signal
	return s
}

// checkAccess refuses a container with dependencies that cannot read the
// pod's status. The API server mounts the token before it calls us, so a
// missing mount means that the pod or its service account does without.
func (j *job) checkAccess(c container, w Wish) {
	if len(w.Spec.StartDeps)+len(w.Spec.StopDeps) == 0 {
		return
	}
	for _, m := range c.VolumeMounts {
		if path.Clean(m.MountPath) == spec.APIAccess {
			return
		}
	}
	who, remedy := "its service account has", "of service account "+podAccount(j.pod)
	if mount := j.pod.Spec.AutomountServiceAccountToken; mount != nil && !*mount {
		who, remedy = "the pod has", "of the pod"
	}
	j.refuse(c.place(), fmt.Sprintf("%s automountServiceAccountToken: false, which takes away the API access by which koordinator watches the pod: remove this setting %s (other sources are not supported yet by this version)", who, remedy))
}

// podAccount is the service account in messages.
func podAccount(pod *corev1.Pod) string {
	if pod.Spec.ServiceAccountName == "" {
		return `"default"`
	}
	return fmt.Sprintf("%q", pod.Spec.ServiceAccountName)
}

// command puts the wrapper before the real command. The pod's args stay where
// they are: the runtime appends them to the command, so they reach it behind
// the "--". A command from the annotation is complete and replaces both.
func (j *job) command(c container, w Wish) {
	own := c.Command
	if wrappedWithin(c) {
		return
	}
	if w.Command != nil && len(own) > 0 && own[0] != spec.Binary {
		j.warn(fmt.Sprintf("%s: replaces the command and args in the pod", w.Places["command"]))
	}
	if len(own) > 0 && own[0] == spec.Binary {
		if len(own) < 3 || own[1] != "--" {
			j.refuse(c.place(), fmt.Sprintf("command: %s is koordinator's own: write the real command, koordinator puts itself before it", spec.Binary))
			return
		}
		own = own[2:]
	}
	if w.Command != nil {
		own = w.Command
		if len(c.Args) > 0 {
			j.patch.remove(c.path("args")...)
		}
	}
	if len(own) == 0 {
		j.refuse(c.place(), fmt.Sprintf("the image %q of pod %q decides what is run, and this version cannot look into images: set command: in the pod, or the annotation %scommand: {%q: [\"/path/to/program\", \"arg\"]}", c.Image, j.podName(), Prefix, c.Name))
		return
	}
	want := append([]string{spec.Binary, "--"}, own...)
	if !slices.Equal(c.Command, want) {
		j.patch.set(want, c.path("command")...)
	}
}

// wrappedWithin reports whether another webhook has put a program of its own
// before ours since we wrapped the container, moving our command to the args.
func wrappedWithin(c container) bool {
	words := slices.Concat(c.Command, c.Args)
	i := slices.Index(words, spec.Binary)
	return i > 0 && i+1 < len(words) && words[i+1] == "--"
}

// env hands over the spec. The kubelet expands $(VAR) in values, and makes $
// of $$.
func (j *job) env(c container, text string) {
	want := corev1.EnvVar{Name: spec.Env, Value: strings.ReplaceAll(text, "$", "$$")}
	ours := []string{spec.Env, spec.EnvMisspelt, spec.EnvPodName, spec.EnvPodNamespace}
	there := false
	for _, e := range c.Env {
		switch {
		case !slices.Contains(ours, e.Name):
		case equality.Semantic.DeepEqual(e, want):
			there = true
		default:
			j.refuse(c.place(), fmt.Sprintf("env %s: koordinator knows it from the annotations and the pod: remove it", e.Name))
		}
	}
	if !there {
		push(&j.patch, len(c.Env), []corev1.EnvVar{want}, c.path("env")...)
	}
}

// mounts adds ours and refuses others' under the reserved directory.
func (j *job) mounts(c container) {
	missing := mountsOf(c.Name)
	for _, m := range c.VolumeMounts {
		at := path.Clean(m.MountPath)
		if at != spec.Root && !strings.HasPrefix(at, spec.Root+"/") {
			continue
		}
		i := slices.IndexFunc(missing, func(our corev1.VolumeMount) bool {
			return our.Name == m.Name && our.MountPath == at && our.ReadOnly == m.ReadOnly && our.SubPath == m.SubPath && m.SubPathExpr == ""
		})
		if i < 0 {
			j.refuse(c.place(), fmt.Sprintf("volumeMount %q at %s: the directory %s is reserved for koordinator: mount it elsewhere", m.Name, m.MountPath, spec.Root))
			continue
		}
		missing = slices.Delete(missing, i, i+1)
	}
	push(&j.patch, len(c.VolumeMounts), missing, c.path("volumeMounts")...)
}

// mountsOf are the mounts of a wrapped container. Its record is the only
// thing it may write.
func mountsOf(name string) []corev1.VolumeMount {
	return []corev1.VolumeMount{
		{Name: BinVolume, MountPath: spec.BinDir, ReadOnly: true},
		{Name: PodinfoVolume, MountPath: spec.PodinfoDir, ReadOnly: true},
		{Name: RecordVolume, MountPath: spec.RecordDir, SubPath: name},
	}
}

// gate keeps a container from being taken for a started one before its command
// runs: one that waits, and one whose start is all that others wait for.
func (j *job) gate(c container, w Wish) {
	waits := len(w.Spec.StartDeps) > 0
	if c.runsToEnd() || !waits && !j.awaited(c) {
		return
	}
	if waits && c.Lifecycle != nil && c.Lifecycle.PostStart != nil {
		j.refuse(c.place(), "lifecycle.postStart would run while the container still waits for its start dependencies, and keep later containers from starting: remove the hook or the start dependencies (taking hooks over is not supported yet by this version)")
	}
	want := gateProbe()
	switch own := c.StartupProbe; {
	case own == nil:
		j.patch.set(want, c.path("startupProbe")...)
	case waits && !equality.Semantic.DeepEqual(own, want):
		j.refuse(c.place(), "startupProbe would be asked while the container still waits for its start dependencies, and end the wait or let others start too early: use a readinessProbe instead, or remove the start dependencies (taking startup probes over is not supported yet by this version)")
	}
}

// awaited reports whether another container waits for this one's command to
// have been started, without a readiness probe that could tell of it.
func (j *job) awaited(c container) bool {
	for _, w := range j.wishes {
		for _, d := range w.Spec.StartDeps {
			if d.Container == c.Name && (d.Condition == spec.Started || d.Condition == spec.Ready && c.ReadinessProbe == nil) {
				return true
			}
		}
	}
	return false
}

// gateProbe is written out in full, as the API server would fill it in.
func gateProbe() *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{spec.Binary, "gate"}}},
		TimeoutSeconds:   gateTimeout,
		PeriodSeconds:    gatePeriod,
		SuccessThreshold: 1,
		FailureThreshold: gateFailures,
	}
}
