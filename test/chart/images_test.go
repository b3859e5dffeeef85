package chart

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// wrapperImage returns the wrapper image that the webhook adds to pods.
func wrapperImage(c corev1.Container) string {
	i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "WRAPPER_IMAGE" })
	if i < 0 {
		return ""
	}
	return c.Env[i].Value
}

func TestB18ImagesByTheirParts(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	version := values(t, source+"/Chart.yaml")["appVersion"].(string)
	for _, tt := range []struct{ name, set, webhook, wrapper string }{
		{"by default", "replicas=2", "koordinator/webhook:" + version, "koordinator/wrapper:" + version},
		{"a registry", "image.webhook.registry=a.example,image.wrapper.registry=b.example:5000", "a.example/koordinator/webhook:" + version, "b.example:5000/koordinator/wrapper:" + version},
		{"a repository and a tag", "image.wrapper.repository=mirror/w,image.wrapper.tag=v2", "koordinator/webhook:" + version, "mirror/w:v2"},
		{"a registry for all", "global.imageRegistry=g.example,image.webhook.registry=a.example", "g.example/koordinator/webhook:" + version, "g.example/koordinator/wrapper:" + version},
		{"a digest", "image.webhook.digest=" + digest + ",image.webhook.tag=v2", "koordinator/webhook@" + digest, "koordinator/wrapper:" + version},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := render(t, "--set", tt.set)
			_, c := container(t, all)
			if c.Image != tt.webhook || wrapperImage(c) != tt.wrapper {
				t.Errorf("webhook %s, wrapper %s", c.Image, wrapperImage(c))
			}
			if check := as[corev1.Pod](t, all, "Pod shop-check").Spec.Containers[0].Image; check != tt.webhook {
				t.Errorf("the check has %s", check)
			}
		})
	}
}

func TestPullSecretsOfTheParentChart(t *testing.T) {
	all := render(t, "--set", "imagePullSecrets[0].name=own,global.imagePullSecrets[0]=shared,global.imagePullSecrets[1].name=own,global.imagePullSecrets[2].name=other")
	spec, _ := container(t, all)
	want := []corev1.LocalObjectReference{{Name: "own"}, {Name: "shared"}, {Name: "other"}}
	for name, have := range map[string][]corev1.LocalObjectReference{"webhook": spec.ImagePullSecrets, "check": as[corev1.Pod](t, all, "Pod shop-check").Spec.ImagePullSecrets} {
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s (-want +have):\n%s", name, diff)
		}
	}
}

// TestB18KustomizeSetsBothImages builds config/default with other images.
func TestB18KustomizeSetsBothImages(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../config")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "default", "kustomization.yaml")
	k := values(t, file)
	k["images"] = []map[string]string{
		{"name": "koordinator/webhook", "newName": "a.example/webhook", "newTag": "v1"},
		{"name": "koordinator/wrapper", "newName": "b.example/wrapper", "newTag": "v2"},
	}
	data, err := yaml.Marshal(k)
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Dir(file))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range built.Resources() {
		if r.GetKind() != "Deployment" {
			continue
		}
		var d appsv1.Deployment
		if err := yaml.Unmarshal([]byte(r.MustYaml()), &d); err != nil {
			t.Fatal(err)
		}
		c := d.Spec.Template.Spec.Containers[0]
		if c.Image != "a.example/webhook:v1" || wrapperImage(c) != "b.example/wrapper:v2" {
			t.Errorf("webhook %s, wrapper %s", c.Image, wrapperImage(c))
		}
		return
	}
	t.Error("no Deployment")
}

func TestB19WhatOperatorsAdd(t *testing.T) {
	spec, c := container(t, render(t, "--set", `extraArgs={--metrics-address=0},extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://proxy.example:3128`,
		"--set", "extraVolumes[0].name=extra,extraVolumes[0].emptyDir.medium=Memory,extraVolumeMounts[0].name=extra,extraVolumeMounts[0].mountPath=/extra"))
	if c.Args[len(c.Args)-1] != "--metrics-address=0" {
		t.Errorf("args %v", c.Args)
	}
	if !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "HTTPS_PROXY" && e.Value == "http://proxy.example:3128" }) {
		t.Errorf("environment %v", c.Env)
	}
	if !slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == "extra" && v.EmptyDir != nil }) ||
		!slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "extra" && m.MountPath == "/extra" }) {
		t.Errorf("volumes %v, mounts %v", spec.Volumes, c.VolumeMounts)
	}
}

// TestB19ValuesThatAreTakenAway checks that null removes a default.
func TestB19ValuesThatAreTakenAway(t *testing.T) {
	all := render(t, "--set", "webhook.lateSidecars=null,sidecars=null,webhook.excludedNamespaces=null,commands=null,registry.allowed=null")
	_, c := container(t, all)
	if slices.ContainsFunc(c.Args, func(arg string) bool { return strings.Contains(arg, "sidecars") }) {
		t.Errorf("args %v", c.Args)
	}
	if commands := as[corev1.ConfigMap](t, all, "ConfigMap shop-commands").Data["commands.yaml"]; commands != "{}" {
		t.Errorf("commands %q", commands)
	}
}

// TestB19ReleasesWithDotsAndDigits checks release names that are not valid names of a Service.
func TestB19ReleasesWithDotsAndDigits(t *testing.T) {
	for release, want := range map[string]string{"shop.v1": "shop-v1", "1shop": "k1shop", "shop": "shop"} {
		text, complaint := helmSaysOf(t, release)
		if complaint != "" {
			t.Fatal(complaint)
		}
		if !strings.Contains(text, "kind: Service\nmetadata:\n  name: "+want+"\n") || !strings.Contains(text, "$("+strings.ToUpper(strings.ReplaceAll(want, "-", "_"))+"_SERVICE_HOST)") {
			t.Errorf("%s: no Service %s, or a check that does not call it", release, want)
		}
	}
}
