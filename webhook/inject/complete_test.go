package inject_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/sketch"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// unknownCommands removes the commands of the containers with these names from a
// pod.
func unknownCommands(pod *corev1.Pod, names ...string) *corev1.Pod {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if slices.Contains(names, list[i].Name) {
				list[i].Command = nil
			}
		}
	}
	return pod
}

func TestCommandsThatAreWanted(t *testing.T) {
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		unknown     []string
		want        []string
	}{
		{"none where the pod has them", "Never main proxy", sketch.Annotations("start-deps", "main: proxy"), nil, nil},
		{"of a container that waits, and of one that is waited for", "Never main proxy log", sketch.Annotations("start-deps", "main: proxy"), []string{"main", "proxy", "log"}, []string{"main", "proxy"}},
		{"not where the annotation has it", "Never main proxy", sketch.Annotations("start-deps", "main: proxy", "command", "main: [/app]"), []string{"main", "proxy"}, []string{"proxy"}},
		{"not of an init container that has ended", "Never init:migrate main", sketch.Annotations("start-deps", "main: migrate=succeeded"), []string{"migrate", "main"}, []string{"main"}},
		{"of all that an essential container stops", "Never main a b", sketch.Annotations("essential", "main"), []string{"a", "b"}, []string{"a", "b"}},
		{"whatever else is wrong", "Never main proxy", sketch.Annotations("start-deps", "main: proxy, nobody"), []string{"main"}, []string{"main"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if have := plan(unknownCommands(sketch.Pod(tt.pod, tt.annotations), tt.unknown...)).Wanted; !slices.Equal(have, tt.want) {
				t.Errorf("have %q, want %q", have, tt.want)
			}
		})
	}
}

func TestWhatIsFoundIsWritten(t *testing.T) {
	platforms := map[string][]string{"linux/amd64": {"/x86"}, "linux/arm64": {"/arm"}}
	for _, tt := range []struct {
		name     string
		found    inject.Command
		args     []string
		command  []string
		signal   syscall.Signal
		warnings string
	}{
		{name: "words", found: inject.Command{Words: []string{"/entry", "$$HOME"}}, command: []string{"/entry", "$$HOME"}},
		{name: "nothing before the pod's args", found: inject.Command{Words: []string{}}, args: []string{"/mine"}},
		{name: "words that differ", found: inject.Command{ByPlatform: platforms}},
		{name: "a stop signal", found: inject.Command{Words: []string{"/entry"}, StopSignal: "SIGQUIT"}, command: []string{"/entry"}, signal: syscall.SIGQUIT},
		{
			name: "a stop signal that there is not", found: inject.Command{Words: []string{"/entry"}, StopSignal: "SIGNONE"}, command: []string{"/entry"},
			warnings: `Warning: spec.containers[main].image: koordinator does not use the STOPSIGNAL of the image "main", because `,
		},
		{name: "a warning", found: inject.Command{Words: []string{"/entry"}, Warning: problem("may be moved")}, command: []string{"/entry"}, warnings: `Warning: spec.containers[main].image: may be moved`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := unknownCommands(sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started")), "main")
			pod.Spec.Containers[0].Args = tt.args
			completed := inject.Complete(plan(pod), inject.Found{Commands: map[string]inject.Command{"main": tt.found}})
			if said := words(completed.Notes); !strings.HasPrefix(said, tt.warnings) || tt.warnings == "" && said != "" {
				t.Errorf("said: %s", said)
			}
			after := rewritten(t, pod, inject.Rewrite(completed))
			main := after.Spec.Containers[0]
			if diff := cmp.Diff(append([]string{spec.Binary, "--"}, tt.command...), main.Command); diff != "" {
				t.Errorf("command (-want +have):\n%s", diff)
			}
			if diff := cmp.Diff(tt.args, main.Args); diff != "" {
				t.Errorf("args (-want +have):\n%s", diff)
			}
			s := specsWithin(t, after)["main"]
			if s.RequestSignal != tt.signal || !cmp.Equal(s.Commands, tt.found.ByPlatform) {
				t.Errorf("the spec is %s", s.Encode())
			}
			unchanged(t, after)
		})
	}
}

func TestTheDigestOfAnImageIsNoted(t *testing.T) {
	pod := unknownCommands(sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started")), "main", "proxy")
	found := inject.Found{Commands: map[string]inject.Command{"main": {Words: []string{"/m"}, Digest: "sha256:1"}, "proxy": {Words: []string{"/p"}}}}
	after := rewritten(t, pod, inject.Rewrite(inject.Complete(plan(pod), found)))
	const want = `{"version":"test","wrapped":["main","proxy"],"lookedUp":{"main":"sha256:1"}}`
	if have := after.Annotations[inject.StatusAnnotation]; have != want {
		t.Errorf("status %s, want %s", have, want)
	}
	unchanged(t, after)

	after.Spec.Containers[0].Command = nil // a copy, with another image
	found.Commands["main"] = inject.Command{Words: []string{"/m"}, Digest: "sha256:2"}
	again := rewritten(t, after, inject.Rewrite(inject.Complete(plan(after), found)))
	if have := again.Annotations[inject.StatusAnnotation]; have != strings.Replace(want, "sha256:1", "sha256:2", 1) {
		t.Errorf("status of the copy %s", have)
	}
}

func TestTheStopSignalOfAnImageWhoseCommandThePodSets(t *testing.T) {
	index := func(image string) string { return map[string]string{"main": "SIGQUIT", "proxy": "SIGUSR1"}[image] }
	pod := sketch.Pod("Never main proxy log", sketch.Annotations("start-deps", "{main: proxy=started, log: proxy=started}"))
	pod.Spec.Containers[1].Lifecycle = &corev1.Lifecycle{StopSignal: new(corev1.SIGINT)}
	after := rewritten(t, pod, inject.Rewrite(inject.Complete(plan(pod), inject.Found{StopSignal: index})))
	for name, want := range map[string]syscall.Signal{"main": syscall.SIGQUIT, "proxy": syscall.SIGINT, "log": 0} {
		if have := specsWithin(t, after)[name].RequestSignal; have != want {
			t.Errorf("%s: signal %d, want %d", name, have, want)
		}
	}
}

// problem returns a problem of an image in the form of a failed lookup.
func problem(sentence string) messages.Problem {
	return messages.Problem{Code: messages.ImageNotFound, Sentence: sentence, Remedy: "Push it"}
}

func TestCommandsThatAreNotFound(t *testing.T) {
	const remedies = `set command or the annotation koordinator.io/command: {"NAME": ["/path/to/program", "arg"]}, or have an administrator add the image to koordinator's command index`
	mistake, trouble := inject.Command{Problem: problem("no such image")}, inject.Command{Problem: problem("no answer"), Trouble: true}
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		unknown     string
		found       map[string]inject.Command
		skip        bool // settings.SkipTrouble
		want        string
		wrapped     []string
	}{
		{
			name: "nobody looks", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started"), unknown: "main",
			want: `spec.containers[main]: koordinator needs the container's command: it is not set, and image lookup is disabled (image "main"). S` + strings.Replace(remedies[1:], "NAME", "main", 1) + " [KO401]",
		},
		{
			name: "a mistake", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started"), unknown: "main",
			found: map[string]inject.Command{"main": mistake}, skip: true,
			want: `spec.containers[main]: koordinator needs the container's command: no such image. Push it. Alternatively, ` + strings.Replace(remedies, "NAME", "main", 1) + " [KO406]",
		},
		{
			name: "trouble", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started"), unknown: "main",
			found: map[string]inject.Command{"main": trouble},
			want:  `spec.containers[main]: koordinator needs the container's command: no answer. Push it. Alternatively, ` + strings.Replace(remedies, "NAME", "main", 1) + " [KO406]",
		},
		{
			name: "trouble for which the pod is left alone", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started"), unknown: "main",
			found: map[string]inject.Command{"main": trouble}, skip: true,
			want: `Warning: spec.containers[main].image: koordinator does not change this pod, and its containers start and stop in no particular order, because the container's command is unknown: no answer. Push it [KO415]`,
		},
		{
			name: "of a container that is only waited for", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started"), unknown: "proxy",
			found: map[string]inject.Command{"proxy": trouble}, wrapped: []string{"main"},
			want: `Warning: spec.containers[proxy]: koordinator does not wrap this container, and reads its state from the pod's status, because its command is unknown: no answer. Push it [KO414]`,
		},
		{
			name: "of such a one where records alone are read", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "source", "main: local"), unknown: "proxy",
			want: `metadata.annotations[koordinator.io/start-deps][main]: "proxy" does not run under koordinator, so it keeps no record, and koordinator does not read the pod's status (koordinator.io/source is local). Set the annotation koordinator.io/source: pod [KO224]`,
		},
		{
			name: "of what the essential container of the label would stop", pod: "Never main proxy log", unknown: "log", wrapped: []string{"main", "proxy"},
			want: `Warning: metadata.labels[essential-containers]: "log" is not stopped when "main" exits, because its command is unknown. S` + strings.Replace(remedies[1:], "NAME", "log", 1) + " [KO222]",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := unknownCommands(sketch.Pod(tt.pod, tt.annotations), tt.unknown)
			if tt.annotations == nil {
				pod.Labels = map[string]string{inject.EssentialLabel: "main"}
			}
			settings := testSettings()
			settings.SkipTrouble = tt.skip
			planned := inject.Plan(pod, asked(pod), settings)
			if said := words(planned.Notes); said != "" {
				t.Errorf("the plan says already: %s", said)
			}
			completed := inject.Complete(planned, inject.Found{Commands: tt.found})
			if diff := cmp.Diff(tt.want, words(completed.Notes)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
			if len(completed.Problems) == 0 && !slices.Equal(completed.Wrapped, tt.wrapped) {
				t.Errorf("%q are wrapped, want %q", completed.Wrapped, tt.wrapped)
			}
			if completed.Skipped != strings.Contains(tt.want, "does not change this pod") {
				t.Errorf("the pod is left alone: %t", completed.Skipped)
			}
		})
	}
}

// In a pod that is left unchanged, only the status annotation is added.
func TestThePatchOfAPodThatIsLeftAlone(t *testing.T) {
	pod := unknownCommands(sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started")), "main")
	settings := testSettings()
	settings.SkipTrouble = true
	found := inject.Found{Commands: map[string]inject.Command{"main": {Problem: problem("no answer"), Trouble: true}}}
	after := rewritten(t, pod, inject.Rewrite(inject.Complete(inject.Plan(pod, asked(pod), settings), found)))
	want := pod.DeepCopy()
	want.Annotations[inject.StatusAnnotation] = `{"version":"test","skipped":true}`
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

// A plan can be completed more than once, and the commands that are found for one
// completion do not affect the next one.
func TestAPlanIsNeverChanged(t *testing.T) {
	pod := unknownCommands(sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy", "stop-delay", "main: 40s", "stop-timeout", "main: 1m")), "main", "proxy")
	planned := plan(pod)
	if len(planned.Warnings) != 3 {
		t.Fatalf("%q do not show whether a list grows in place", planned.Warnings)
	}
	complete := func(words ...string) inject.Completed {
		return inject.Complete(planned, inject.Found{Commands: map[string]inject.Command{
			"main": {Words: words, StopSignal: "SIGQUIT", Warning: problem(words[0])}, "proxy": {Words: words},
		}})
	}
	before := words(planned.Notes)
	first := complete("/first")
	said := words(first.Notes)
	second, none := complete("/second"), inject.Complete(planned, inject.Found{})
	if len(none.Problems) != 1 || words(planned.Notes) != before || words(first.Notes) != said {
		t.Errorf("without commands: %s; the plan: %s; the first: %s", words(none.Notes), words(planned.Notes), words(first.Notes))
	}
	for command, completed := range map[string]inject.Completed{"/first": first, "/second": second} {
		after := rewritten(t, pod, inject.Rewrite(completed))
		if have := after.Spec.Containers[0].Command; !slices.Equal(have, []string{spec.Binary, "--", command}) {
			t.Errorf("command %q, want %s", have, command)
		}
		if want := before + "\nWarning: spec.containers[main].image: " + command + ". Push it [KO406]"; words(completed.Notes) != want {
			t.Errorf("said %s, want %s", words(completed.Notes), want)
		}
	}
}

func TestContainersThatCannotBeWrapped(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(main *corev1.Container)
		want   string
	}{
		{
			"a pod name of the user's", func(main *corev1.Container) {
				main.Env = []corev1.EnvVar{{Name: "KOORDINATOR_POD_NAME", Value: "other"}}
			},
			`spec.containers[main].env[KOORDINATOR_POD_NAME]: the environment variable is reserved for koordinator. Remove it [KO501]`,
		},
		{
			"SIGKILL as stop signal", func(main *corev1.Container) { main.Lifecycle = &corev1.Lifecycle{StopSignal: new(corev1.SIGKILL)} },
			`spec.containers[main].lifecycle.stopSignal: koordinator cannot use this stop signal: no command can handle the signal "SIGKILL". Use another, for example SIGTERM, SIGINT or SIGQUIT [KO311]`,
		},
		{
			"a wrapper without a command", func(main *corev1.Container) { main.Command = []string{spec.Binary, "--"} },
			`spec.containers[main].command: /koordinator/bin/koordinator is koordinator's own program. Write the container's own command: koordinator inserts its program before it [KO508]`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := sketch.Pod("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"))
			tt.change(&pod.Spec.Containers[0])
			check(t, pod, tt.want)
		})
	}
}
