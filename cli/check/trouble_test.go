package check

import (
	"errors"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// each lists the kinds that a check reads, each with the check that is skipped if the kind
// may not be read.
var each = map[string]struct {
	kind      client.Object
	unchecked string
}{
	"pods' configuration":      {&admissionregistrationv1.MutatingWebhookConfiguration{}, "the installation"},
	"workloads' configuration": {&admissionregistrationv1.ValidatingWebhookConfiguration{}, "the validation of workloads"},
	"policies":                 {&admissionregistrationv1.ValidatingAdmissionPolicy{}, "ValidatingAdmissionPolicy koordinator-refuse-uninjected"},
	"bindings of policies":     {&admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, "whether ValidatingAdmissionPolicy koordinator-refuse-uninjected is enforced"},
	"deployments":              {&appsv1.Deployment{}, "deployment koordinator-io/koordinator"},
	"certificates":             {&cmapi.Certificate{}, "Certificates of cert-manager in namespace koordinator-io"},
	"namespaces":               {&corev1.Namespace{}, "whether the namespace is enabled"},
	"pods":                     {&corev1.Pod{}, "whether its pods are injected"},
	"events":                   {&corev1.Event{}, "why there is no pod"},
}

// asking returns a world in which the checks read every kind.
func asking(t *testing.T) *world {
	t.Helper()
	w := healthy(t)
	w.mutating.Webhooks[0].FailurePolicy = new(admissionregistrationv1.Ignore)
	w.more = append(w.more, policyAnd(admissionregistrationv1.Deny)...)
	w.question.Missing = []Owner{{"job", "report"}}
	return w
}

func TestWhatMayNotBeReadIsAWarning(t *testing.T) {
	for name, test := range each {
		t.Run(name, func(t *testing.T) {
			w := asking(t)
			w.denied = []client.Object{test.kind}
			report, err := w.checker(t).Check(t.Context(), w.question)
			if err != nil {
				t.Fatal(err)
			}
			if text := printed(t, report); !strings.Contains(text, "‼ not checked: "+test.unchecked) || !strings.Contains(text, "You are not allowed to read it") {
				t.Errorf("report:\n%s", text)
			}
		})
	}
}

func TestAnAPIServerThatFailsEndsTheCheck(t *testing.T) {
	for name, test := range each {
		t.Run(name, func(t *testing.T) {
			w := asking(t)
			w.broken = test.kind
			report, err := w.checker(t).Check(t.Context(), w.question)
			if !errors.Is(err, errBroken) {
				t.Errorf("error %v, report:\n%s", err, printed(t, report))
			}
		})
	}
	t.Run("version", func(t *testing.T) {
		c := asking(t).checker(t)
		c.Version = func() (*version.Info, error) { return nil, errBroken }
		if _, err := c.Check(t.Context(), Question{}); !errors.Is(err, errBroken) {
			t.Errorf("error %v", err)
		}
		if _, err := c.Requirements(t.Context(), "x"); !errors.Is(err, errBroken) {
			t.Errorf("requirements: error %v", err)
		}
	})
	for name, kind := range map[string]client.Object{"reviews": &authorizationv1.SelfSubjectAccessReview{}, "configurations": &admissionregistrationv1.MutatingWebhookConfiguration{}} {
		t.Run("requirements, "+name, func(t *testing.T) {
			w := asking(t)
			w.broken = kind
			if _, err := w.checker(t).Requirements(t.Context(), "x"); !errors.Is(err, errBroken) {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("secrets", func(t *testing.T) {
		w := asking(t)
		w.broken = &corev1.Secret{}
		if _, err := w.checker(t).Check(t.Context(), w.question); !errors.Is(err, errBroken) {
			t.Errorf("error %v", err)
		}
	})
}

func TestOnlyAFewPodsAreNamed(t *testing.T) {
	w := healthy(t)
	for name := range strings.FieldsSeq("a b c d e f g") {
		w.more = append(w.more, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Annotations: map[string]string{"koordinator.io/essential": "main"}}})
	}
	report, err := w.checker(t).Check(t.Context(), w.question)
	if err != nil {
		t.Fatal(err)
	}
	if text := printed(t, report); !strings.Contains(text, "not injected, although annotated: 7 pods (a, b, c, d, e, …)") {
		t.Errorf("report:\n%s", text)
	}
}

// Developers often cannot read the installation.
func TestAPodIsExplainedWithoutTheInstallation(t *testing.T) {
	w := healthy(t)
	w.denied = []client.Object{&admissionregistrationv1.MutatingWebhookConfiguration{}}
	w.namespace.Labels = nil
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "x", Annotations: map[string]string{"koordinator.io/essential": "main"}}}
	report, err := w.checker(t).Check(t.Context(), Question{Pods: []corev1.Pod{pod}})
	if err != nil {
		t.Fatal(err)
	}
	if text := printed(t, report); !strings.Contains(text, "× not injected: namespace shop is not enabled") {
		t.Errorf("report:\n%s", text)
	}
}

func TestColoursAndTheSummary(t *testing.T) {
	var r Report
	s := r.section("title")
	s.ok("fine")
	s.warn("well", "do this\nand that")
	s.bad("one\ntwo", "")
	var b strings.Builder
	if err := r.Print(&b, true); err != nil {
		t.Fatal(err)
	}
	want := "title\n-----\n\x1b[32m√\x1b[0m fine\n\x1b[33m‼\x1b[0m well\n    do this\n    and that\n\x1b[31m×\x1b[0m one\n  two\n\n1 error, 1 warning\n"
	if b.String() != want {
		t.Errorf("have %q, want %q", b.String(), want)
	}
}

func TestUnknownVersionsAndConfigurations(t *testing.T) {
	for name, test := range map[string]struct {
		provoke func(*world)
		want    string
	}{
		"a version of another form":    {func(w *world) { w.kubernetes = "master" }, `‼ Kubernetes version "master" is unknown`},
		"a URL instead of a service":   {func(w *world) { w.mutating.Webhooks[0].ClientConfig.Service = nil }, "‼ MutatingWebhookConfiguration koordinator calls a URL and not a service"},
		"a deployment of another form": {func(w *world) { w.deployment.Spec.Template.Spec.Volumes = nil }, "‼ not checked: the serving certificate, because deployment koordinator-io/koordinator does not specify the secret"},
		"a certificate that is no certificate": {func(w *world) {
			w.secret.Data["tls.crt"] = []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
		}, "× secret koordinator-io/koordinator-tls has no serving certificate: x509: "},
		"an issuer of another group": {func(w *world) {
			w.managed.Status.Conditions[0].Status, w.managed.Status.Conditions[0].Message = "False", "pending"
			w.managed.Spec.IssuerRef.Group = "issuers.example.com"
		}, "× Certificate koordinator-io/koordinator is not ready: pending\n    See"},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy(t)
			test.provoke(w)
			report, err := w.checker(t).Check(t.Context(), w.question)
			if err != nil {
				t.Fatal(err)
			}
			if text := printed(t, report); !strings.Contains(text, test.want) {
				t.Errorf("no %q in:\n%s", test.want, text)
			}
		})
	}
}
