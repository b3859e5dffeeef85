package inject

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// wished returns a wish for one container, based on the defaults.
func wished(name string, change func(*spec.Spec)) Wish {
	s := spec.Default()
	s.Container = name
	change(&s)
	w := Wish{Spec: s, Places: map[string]messages.Place{}}
	for field, given := range map[string]bool{"startDeps": len(s.StartDeps) > 0, "stopDeps": len(s.StopDeps) > 0, "source": s.Source != spec.SourceAuto, "stopDelay": s.StopDelay > 0} {
		if given {
			w.Places[field] = messages.Annotation(Prefix + field)
		}
	}
	return w
}

func dependsOn(name string, c spec.Condition) []spec.Dependency {
	return []spec.Dependency{{Container: name, Condition: c}}
}

// shopPod returns a pod with the containers main and proxy.
func shopPod(change func(main, proxy *corev1.Container)) *corev1.Pod {
	pod := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{
		{Name: "main", Command: []string{"/main"}}, {Name: "proxy", Command: []string{"/proxy"}},
	}}}
	change(&pod.Spec.Containers[0], &pod.Spec.Containers[1])
	return pod
}

// result is the result for a pod whose commands are not looked up.
type result struct {
	Completed

	Patch []jsonpatch.Operation
}

func inject(pod *corev1.Pod, asked Asked) result {
	c := Complete(Plan(pod, asked, Settings{}), Found{})
	return result{c, Rewrite(c)}
}

// injected returns the result and the specs that it writes, by container.
func injected(t *testing.T, pod *corev1.Pod, wishes map[string]Wish) (result, map[string]spec.Spec) {
	t.Helper()
	r := inject(pod, Asked{Wishes: wishes, Rest: Wish{Spec: spec.Default()}})
	if len(r.Problems) > 0 {
		t.Fatalf("refused: %v", r.Problems)
	}
	specs := map[string]spec.Spec{}
	for _, o := range r.Patch {
		all, _ := o.Value.([]corev1.EnvVar)
		if v, one := o.Value.(corev1.EnvVar); one {
			all = append(all, v)
		}
		for _, e := range all {
			if e.Name != spec.Env {
				continue
			}
			s, err := spec.Parse(strings.ReplaceAll(e.Value, "$$", "$"))
			if err != nil {
				t.Fatal(err)
			}
			specs[s.Container] = s
		}
	}
	return r, specs
}

var tcp = corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}}

func TestA1A13ProbesAreTakenOverWhereTheWrapperKnowsBetter(t *testing.T) {
	run := corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}
	elsewhere := corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80), Host: "db"}}
	waits := func(s *spec.Spec) { s.StartDeps = dependsOn("proxy", spec.Ready) }
	stops := func(s *spec.Spec) { s.StopDeps = dependsOn("proxy", spec.Exited) }
	for _, tt := range []struct {
		name                          string
		wish                          func(*spec.Spec)
		liveness, readiness           *corev1.Probe
		takesLiveness, takesReadiness bool
		addsReadiness                 bool
	}{
		{"a waiting container's liveness", waits, &corev1.Probe{ProbeHandler: tcp}, &corev1.Probe{ProbeHandler: tcp}, true, false, false},
		{"a stopped container's liveness", stops, &corev1.Probe{ProbeHandler: tcp}, &corev1.Probe{ProbeHandler: run}, true, false, false},
		{"readiness that passes without the command", waits, nil, &corev1.Probe{ProbeHandler: run}, false, true, false},
		{"a waiting container without readiness", waits, nil, nil, false, false, true},
		{"a stopped container without readiness", stops, nil, nil, false, false, false},
		{"a probe of something else", waits, &corev1.Probe{ProbeHandler: elsewhere}, &corev1.Probe{ProbeHandler: tcp}, false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := shopPod(func(main, proxy *corev1.Container) {
				main.LivenessProbe, main.ReadinessProbe = tt.liveness, tt.readiness
				proxy.ReadinessProbe = &corev1.Probe{ProbeHandler: tcp}
			})
			r, specs := injected(t, pod, map[string]Wish{"main": wished("main", tt.wish)})
			if have := specs["main"].Liveness != nil && touches(r, "/containers/0/livenessProbe"); have != tt.takesLiveness {
				t.Errorf("liveness taken over: %t", have)
			}
			if have := specs["main"].Readiness != nil && touches(r, "/containers/0/readinessProbe/"); have != tt.takesReadiness {
				t.Errorf("readiness taken over: %t", have)
			}
			adds := slices.ContainsFunc(r.Patch, func(o jsonpatch.Operation) bool { return o.Path == "/spec/containers/0/readinessProbe" })
			if adds != tt.addsReadiness {
				t.Errorf("readiness added: %t", adds)
			}
			if touches(r, "/containers/1/readinessProbe") || touches(r, "/containers/1/livenessProbe") {
				t.Error("the proxy's probes are touched")
			}
		})
	}
}

func TestA5EveryPreStopHookThatMattersNotesTheStop(t *testing.T) {
	hook := &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}}
	for name, wish := range map[string]func(*spec.Spec){
		"it waits":            func(s *spec.Spec) { s.StartDeps = dependsOn("proxy", spec.Exited) },
		"it stops with one":   func(s *spec.Spec) { s.StopDeps = dependsOn("proxy", spec.Exited) },
		"others hold for it":  func(s *spec.Spec) { s.StartDeps = dependsOn("proxy", spec.Ready) },
		"its stop is delayed": func(s *spec.Spec) { s.StopDelay = time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			pod := shopPod(func(main, _ *corev1.Container) { main.Lifecycle = hook })
			r, specs := injected(t, pod, map[string]Wish{"main": wished("main", wish)})
			if !touches(r, "/containers/0/lifecycle/preStop/exec") || specs["main"].PreStop == nil || specs["main"].PreStop.Sleep == nil {
				t.Errorf("the hook is not run by koordinator: %v", r.Patch)
			}
		})
	}
}

func TestKoordinatorRunsTheHookOfAContainerThatHolds(t *testing.T) {
	hook := &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}}
	for _, ungated := range []bool{false, true} {
		pod := shopPod(func(_, proxy *corev1.Container) { proxy.Lifecycle = hook })
		proxy := wished("proxy", func(*spec.Spec) {})
		proxy.NoGate = ungated
		r, specs := injected(t, pod, map[string]Wish{"main": wished("main", func(s *spec.Spec) { s.StartDeps = dependsOn("proxy", spec.Started) }), "proxy": proxy})
		if have := touches(r, "/containers/1/lifecycle/preStop/exec") && specs["proxy"].PreStop != nil; have == ungated {
			t.Errorf("ungated %t: run by koordinator: %t", ungated, have)
		}
	}
}

func TestTheLivenessOfAContainerThatSendsADelegatedStop(t *testing.T) {
	pod := shopPod(func(main, _ *corev1.Container) { main.LivenessProbe = &corev1.Probe{ProbeHandler: tcp} })
	pod.Spec.Containers[1].Command = nil
	r, specs := injected(t, pod, map[string]Wish{"proxy": wished("proxy", func(s *spec.Spec) {
		s.StopDeps, s.StopHTTP = dependsOn("main", spec.Exited), &spec.Request{Method: "POST", URL: "http://127.0.0.1/quit"}
	})})
	if len(specs["main"].Delegated) == 0 {
		t.Fatal("nothing is delegated to main")
	}
	if specs["main"].Liveness == nil || !touches(r, "/containers/0/livenessProbe") {
		t.Error("its liveness probe would fail while it sends the request")
	}
}

func TestA14TheShortestGracePeriodOfAProbe(t *testing.T) {
	pod := shopPod(func(main, _ *corev1.Container) {
		main.StartupProbe = &corev1.Probe{ProbeHandler: tcp, TerminationGracePeriodSeconds: new(int64(7))}
		main.LivenessProbe = &corev1.Probe{ProbeHandler: tcp, TerminationGracePeriodSeconds: new(int64(2))}
	})
	_, specs := injected(t, pod, map[string]Wish{"main": wished("main", func(s *spec.Spec) { s.StopDeps = dependsOn("proxy", spec.Exited) })})
	if have := specs["main"].ProbeGrace; have != 2*time.Second {
		t.Errorf("%s, want 2s", have)
	}
	if have := specs["proxy"].ProbeGrace; have != 0 {
		t.Errorf("without one: %s", have)
	}
}

func TestA21VariablesOfTheGoRuntimeStayWithTheCommand(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []corev1.EnvVar
		args []string
		kept map[string]string
		warn bool
	}{
		{"a value", []corev1.EnvVar{{Name: "GODEBUG", Value: "fips140=auto"}, {Name: "GOMEMLIMIT", Value: "1GB"}}, nil, map[string]string{"GODEBUG": "fips140=auto", "GOMEMLIMIT": "1GB"}, false},
		{"an escaped dollar", []corev1.EnvVar{{Name: "GODEBUG", Value: "a=$$b"}}, nil, map[string]string{"GODEBUG": "a=$b"}, false},
		{"a value that the kubelet expands", []corev1.EnvVar{{Name: "GOGC", Value: "$(LIMIT)"}}, nil, nil, true},
		{"a value from elsewhere", []corev1.EnvVar{{Name: "GOMEMLIMIT", ValueFrom: &corev1.EnvVarSource{}}}, nil, nil, true},
		{"one that the arguments refer to", []corev1.EnvVar{{Name: "GOGC", Value: "50"}}, []string{"--gc=$(GOGC)"}, nil, true},
		{"another variable", []corev1.EnvVar{{Name: "GOPATH", Value: "/go"}}, nil, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := shopPod(func(main, _ *corev1.Container) { main.Env, main.Args = tt.env, tt.args })
			r, specs := injected(t, pod, map[string]Wish{"main": wished("main", func(s *spec.Spec) { s.StopDeps = dependsOn("proxy", spec.Exited) })})
			if have := specs["main"].Environ; len(have) != len(tt.kept) {
				t.Fatalf("kept %v, want %v", have, tt.kept)
			}
			for name, value := range tt.kept {
				i := slices.IndexFunc(tt.env, func(e corev1.EnvVar) bool { return e.Name == name })
				if specs["main"].Environ[name] != value || !touches(r, "/containers/0/env/"+string(rune('0'+i))+"/value") {
					t.Errorf("%s: kept %q, patch %v", name, specs["main"].Environ[name], r.Patch)
				}
			}
			warned := slices.ContainsFunc(r.Warnings, func(p messages.Problem) bool { return p.Code == messages.GoVariable })
			if warned != tt.warn {
				t.Errorf("warnings %q", r.Warnings)
			}
		})
	}
}

func TestB13OnlyATokenForTheAPIServerIsAPIAccess(t *testing.T) {
	projected := func(audience string) corev1.VolumeSource {
		return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", Audience: audience}},
		}}}
	}
	for name, tt := range map[string]struct {
		volume corev1.VolumeSource
		want   spec.Source
	}{
		"the API server's":   {projected(""), spec.SourceAuto},
		"a Secret":           {corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "token"}}, spec.SourceAuto},
		"an empty directory": {corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}, spec.SourceLocal},
		"another audience":   {projected("vault"), spec.SourceLocal},
	} {
		t.Run(name, func(t *testing.T) {
			pod := shopPod(func(main, _ *corev1.Container) {
				main.VolumeMounts = []corev1.VolumeMount{{Name: "api", MountPath: spec.APIAccess}}
			})
			pod.Spec.Volumes = []corev1.Volume{{Name: "api", VolumeSource: tt.volume}}
			_, specs := injected(t, pod, map[string]Wish{"main": wished("main", func(s *spec.Spec) { s.StopDeps = dependsOn("proxy", spec.Exited) })})
			if have := specs["main"].Source; have != tt.want {
				t.Errorf("source %q, want %q", have, tt.want)
			}
		})
	}
}

func TestA1WithSourcePodRecordsCorrectTheStatus(t *testing.T) {
	pod := shopPod(func(main, _ *corev1.Container) {
		main.VolumeMounts = []corev1.VolumeMount{{Name: "api", MountPath: spec.APIAccess}}
	})
	_, specs := injected(t, pod, map[string]Wish{"main": wished("main", func(s *spec.Spec) {
		s.Source, s.StartDeps = spec.SourcePod, dependsOn("proxy", spec.Ready)
	})})
	if !slices.Equal(specs["main"].Wrapped, []string{"proxy"}) {
		t.Errorf("records of %q are read, want those of proxy", specs["main"].Wrapped)
	}
}

func TestA10OptionsOnOurMountsAreRefused(t *testing.T) {
	pod := shopPod(func(main, _ *corev1.Container) {
		main.VolumeMounts = []corev1.VolumeMount{{Name: BinVolume, MountPath: spec.BinDir, ReadOnly: true, BindMountOptions: []string{"noexec"}}}
	})
	wishes := map[string]Wish{"main": wished("main", func(s *spec.Spec) { s.StopDeps = dependsOn("proxy", spec.Exited) })}
	r := inject(pod, Asked{Wishes: wishes, Rest: Wish{Spec: spec.Default()}})
	if !slices.ContainsFunc(r.Problems, func(p messages.Problem) bool { return p.Code == messages.BindMountOptions }) {
		t.Errorf("problems %v", r.Problems)
	}
	pod.Spec.Containers[0].VolumeMounts[0].BindMountOptions = nil
	if r := inject(pod, Asked{Wishes: wishes, Rest: Wish{Spec: spec.Default()}}); len(r.Problems) > 0 {
		t.Errorf("without them: %v", r.Problems)
	}
}
