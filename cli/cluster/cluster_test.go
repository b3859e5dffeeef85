package cluster

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// made returns a pod that a controller created.
func made(name, kind, owner, hash string) corev1.Pod {
	yes := true
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pod-template-hash": hash}}}
	if kind != "" {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: owner, Controller: &yes}}
	}
	return p
}

func TestTargets(t *testing.T) {
	pods := []corev1.Pod{
		made("alone", "", "", ""),
		made("web-5d8-a", "ReplicaSet", "web-5d8", "5d8"), made("web-5d8-b", "ReplicaSet", "web-5d8", "5d8"), made("web-api-7f-a", "ReplicaSet", "web-api-7f", "7f"),
		made("report-x", "Job", "report", ""), made("db-0", "StatefulSet", "db", ""),
		made("nightly-100-a", "Job", "nightly-100", ""), made("nightly-200-a", "Job", "nightly-200", ""), made("nightly-200-b", "Job", "nightly-200", ""),
		made("nightly-other", "Job", "nightly-other", ""),
	}
	for text, want := range map[string]int{
		"alone": 1, "pod/alone": 1, "po/none": 0, "deploy/web": 2, "deployment.apps/web-api": 1, "rs/web-5d8": 2,
		"job/report": 1, "sts/db": 1, "cronjob/nightly": 2, "ds/db": 0,
	} {
		target, err := ParseTarget(text)
		if err != nil {
			t.Fatal(err)
		}
		if have := target.among(pods); len(have) != want {
			t.Errorf("%s: %d pods, want %d", text, len(have), want)
		}
	}
	for _, text := range []string{"service/web", "job/", "job/a/b", "/x"} {
		if target, err := ParseTarget(text); err == nil {
			t.Errorf("%s is taken for %+v", text, target)
		}
	}
}
