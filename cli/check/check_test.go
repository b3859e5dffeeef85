package check

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/wrapper/spec"
)

// now is the time of every test.
var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// world describes a cluster with koordinator, and its faults.
type world struct {
	mutating   *admissionregistrationv1.MutatingWebhookConfiguration
	validating *admissionregistrationv1.ValidatingWebhookConfiguration
	deployment *appsv1.Deployment
	secret     *corev1.Secret
	managed    *cmapi.Certificate
	issuer     *cmapi.Issuer
	namespace  *corev1.Namespace
	more       []client.Object

	kubernetes    string
	denied        []client.Object // kinds that may not be read or created
	broken        client.Object   // kind for which the API server fails, or nil
	noCertManager bool
	dryRun        error // answer to a new pod
	noPatch       bool  // a new pod comes back as it was
	refused       string
	namespaced    bool // the user's permissions come from a Role, not a ClusterRole
	question      Question
}

// errBroken is the error of a world's API server.
var errBroken = errors.New("the API server fails")

// authority creates a CA and a certificate that it issued for the service, with the given validity.
func authority(t *testing.T, name string, from, to time.Time) (caPEM, certPEM []byte) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, public any, by *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(9, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: to, DNSNames: []string{"koordinator.koordinator-io.svc"}}
	return sign(ca, ca, &key.PublicKey, key), sign(leaf, ca, &key.PublicKey, key)
}

// healthy returns a cluster without faults.
func healthy(t *testing.T) *world {
	t.Helper()
	ca, cert := authority(t, "koordinator-ca", now.AddDate(0, 0, -29), now.AddDate(0, 0, 61))
	call := admissionregistrationv1.WebhookClientConfig{CABundle: ca, Service: &admissionregistrationv1.ServiceReference{Namespace: "koordinator-io", Name: "koordinator"}}
	rules := []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
	}}
	selector := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "koordinator.io/injection", Operator: metav1.LabelSelectorOpIn, Values: []string{"enabled"}},
		{Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"kube-system"}},
	}}
	object := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "koordinator-io", Name: name, CreationTimestamp: metav1.NewTime(now.AddDate(0, -1, 0))}
	}
	return &world{
		kubernetes: "v1.36.1",
		mutating: &admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "koordinator", CreationTimestamp: metav1.NewTime(now.AddDate(0, -1, 0))},
			Webhooks: []admissionregistrationv1.MutatingWebhook{{
				Name: podsWebhook, ClientConfig: call, Rules: rules, NamespaceSelector: selector, FailurePolicy: new(admissionregistrationv1.Fail),
			}},
		},
		validating: &admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "koordinator"},
			Webhooks:   []admissionregistrationv1.ValidatingWebhook{{Name: workloadsWebhook, ClientConfig: call}},
		},
		deployment: &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: "koordinator-io", Name: "koordinator", Labels: map[string]string{"app.kubernetes.io/version": "v1.2.3"}},
			Spec: appsv1.DeploymentSpec{
				Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "koordinator"}},
				Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
					Containers: []corev1.Container{{Name: "webhook", Args: []string{"--cert-dir=/certificate"}, VolumeMounts: []corev1.VolumeMount{{Name: "certificate", MountPath: "/certificate"}}}},
					Volumes:    []corev1.Volume{{Name: "certificate", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "koordinator-tls"}}}},
				}},
			},
			Status: appsv1.DeploymentStatus{ReadyReplicas: 2},
		},
		secret: &corev1.Secret{ObjectMeta: object("koordinator-tls"), Data: map[string][]byte{"tls.crt": cert}},
		managed: &cmapi.Certificate{
			ObjectMeta: object("koordinator"), Spec: cmapi.CertificateSpec{SecretName: "koordinator-tls", IssuerRef: cmmeta.IssuerReference{Name: "koordinator", Kind: "Issuer"}},
			Status: cmapi.CertificateStatus{
				Conditions:  []cmapi.CertificateCondition{{Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue}},
				NotAfter:    new(metav1.NewTime(now.AddDate(0, 0, 61))),
				RenewalTime: new(metav1.NewTime(now.AddDate(0, 0, 31))),
			},
		},
		issuer: &cmapi.Issuer{ObjectMeta: object("koordinator"), Status: cmapi.IssuerStatus{Conditions: []cmapi.IssuerCondition{{Type: cmapi.IssuerConditionReady, Status: cmmeta.ConditionTrue}}}},
		namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: "shop", Labels: map[string]string{"kubernetes.io/metadata.name": "shop", "koordinator.io/injection": "enabled"},
		}},
		question: Question{Namespace: "shop", Named: true},
	}
}

// kindOf returns the Go type of an object or of the elements of a list.
func kindOf(object any) string { return strings.TrimSuffix(fmt.Sprintf("%T", object), "List") }

// checker returns a Checker for the world.
func (w *world) checker(t *testing.T) *Checker {
	t.Helper()
	s, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	kinds := meta.NewDefaultRESTMapper(nil)
	if !w.noCertManager {
		kinds.Add(cmapi.SchemeGroupVersion.WithKind(cmapi.CertificateKind), meta.RESTScopeNamespace)
	}
	b := fake.NewClientBuilder().WithScheme(s).WithRESTMapper(kinds).WithReturnManagedFields()
	for _, o := range slices.Concat([]client.Object{w.mutating, w.validating, w.deployment, w.secret, w.managed, w.issuer, w.namespace}, w.more) {
		if !reflect.ValueOf(o).IsNil() {
			b = b.WithObjects(o)
		}
	}
	fault := func(object any) error {
		if w.broken != nil && kindOf(w.broken) == kindOf(object) {
			return errBroken
		}
		for _, d := range w.denied {
			if kindOf(d) == kindOf(object) {
				return apierrors.NewForbidden(schema.GroupResource{Resource: kindOf(object)}, "", errors.New("no permission"))
			}
		}
		if w.noCertManager && strings.Contains(kindOf(object), "v1.Certificate") {
			return &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "cert-manager.io", Kind: "Certificate"}}
		}
		return nil
	}
	b = b.WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, o ...client.GetOption) error {
			if err := fault(object); err != nil {
				return err
			}
			return c.Get(ctx, key, object, o...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
			if err := fault(list); err != nil {
				return err
			}
			return c.List(ctx, list, o...)
		},
		Create: func(_ context.Context, _ client.WithWatch, object client.Object, o ...client.CreateOption) error {
			if _, pod := object.(*corev1.Pod); !pod {
				if err := fault(object); err != nil {
					return err
				}
			}
			switch object := object.(type) {
			case *authorizationv1.SelfSubjectAccessReview:
				of := object.Spec.ResourceAttributes
				object.Status.Allowed = of.Resource != w.refused && of.Verb != w.refused && (!w.namespaced || of.Namespace != "")
			case *corev1.Pod:
				if !slices.Contains(o, client.CreateOption(client.DryRunAll)) {
					return errors.New("the pod would be created")
				}
				if w.dryRun == nil && !w.noPatch {
					object.Spec.Containers[0].Env = []corev1.EnvVar{{Name: spec.Env}}
				}
				return w.dryRun
			}
			return nil
		},
	})
	return &Checker{
		API: b.Build(), Now: func() time.Time { return now },
		Version: func() (*version.Info, error) { return &version.Info{GitVersion: w.kubernetes}, nil },
	}
}

// policyAnd returns the policy that rejects pods without koordinator, and its binding with
// an action.
func policyAnd(action admissionregistrationv1.ValidationAction) []client.Object {
	name := metav1.ObjectMeta{Name: "koordinator-refuse-uninjected"}
	return []client.Object{
		&admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: name},
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: name, Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name.Name, ValidationActions: []admissionregistrationv1.ValidationAction{action},
		}},
	}
}

// printed returns the printed form of a report.
func printed(t *testing.T, r Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAHealthyInstallation(t *testing.T) {
	w := healthy(t)
	w.more = append(w.more, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Labels: map[string]string{"koordinator.io/injected": "true"}}})
	report, err := w.checker(t).Check(t.Context(), w.question)
	if err != nil {
		t.Fatal(err)
	}
	const want = `koordinator
-----------
√ Kubernetes v1.36.1 is supported
√ MutatingWebhookConfiguration koordinator sends pods to service koordinator-io/koordinator
√ ValidatingWebhookConfiguration koordinator checks workloads when they are applied
√ annotated pods are rejected while the webhook is unavailable
√ deployment koordinator-io/koordinator: 2 of 2 replicas are ready (version v1.2.3)
√ Certificate koordinator-io/koordinator is ready (cert-manager)
√ serving certificate issued by koordinator-ca, valid 61 days, trusted by both configurations

namespace shop
--------------
√ the namespace is enabled
√ a pod that is created in the namespace is injected (dry run)
√ injected: 1 pod

No problem was found.
`
	if have := printed(t, report); have != want {
		t.Errorf("have:\n%s\nwant:\n%s", have, want)
	}
}

func TestProvokedFaults(t *testing.T) {
	ignore := func(w *world) { w.mutating.Webhooks[0].FailurePolicy = new(admissionregistrationv1.Ignore) }
	selfSigned := func(w *world) {
		w.deployment.Spec.Template.Spec.Containers[0].Args = []string{"--secret=koordinator-tls"}
		w.managed = nil
	}
	for name, test := range map[string]struct {
		provoke func(*testing.T, *world)
		want    []string // lines, each after its mark
	}{
		"an old cluster": {func(_ *testing.T, w *world) { w.kubernetes = "v1.29.4+k3s1" }, []string{"× Kubernetes v1.29.4+k3s1 is not supported"}},
		"no installation": {
			func(_ *testing.T, w *world) { w.mutating = nil },
			[]string{"× koordinator is not installed", "check --pre", "√ the namespace is enabled"},
		},
		"two installations": {
			func(_ *testing.T, w *world) {
				other := w.mutating.DeepCopy()
				other.Name = "old"
				w.more = append(w.more, other)
			},
			[]string{"× more than one MutatingWebhookConfiguration has the webhook pods.koordinator.io: koordinator, old"},
		},
		"a webhook that is not called": {
			func(_ *testing.T, w *world) { w.mutating.Webhooks[0].Rules[0].Resources = []string{"pods/status"} },
			[]string{"× MutatingWebhookConfiguration koordinator does not send new pods to the webhook"},
		},
		"no validation of workloads": {func(_ *testing.T, w *world) { w.validating = nil }, []string{"‼ workloads are not checked", "trusted by the configuration\n"}},
		"pods that start without koordinator": {
			func(_ *testing.T, w *world) { ignore(w) },
			[]string{"‼ while the webhook is unavailable, annotated pods are created without koordinator"},
		},
		"a policy that rejects them": {
			func(_ *testing.T, w *world) {
				ignore(w)
				w.more = append(w.more, policyAnd(admissionregistrationv1.Deny)...)
			},
			[]string{"√ annotated pods are rejected while the webhook is unavailable, by ValidatingAdmissionPolicy koordinator-refuse-uninjected"},
		},
		"a policy that only warns": {
			func(_ *testing.T, w *world) {
				ignore(w)
				w.more = append(w.more, policyAnd(admissionregistrationv1.Warn)...)
			},
			[]string{"× ValidatingAdmissionPolicy koordinator-refuse-uninjected is not enforced"},
		},
		"a policy without a binding": {
			func(_ *testing.T, w *world) {
				ignore(w)
				w.more = append(w.more, policyAnd(admissionregistrationv1.Deny)[:1]...)
			},
			[]string{"× ValidatingAdmissionPolicy koordinator-refuse-uninjected is not enforced"},
		},
		"no deployment": {
			func(_ *testing.T, w *world) { w.deployment = nil },
			[]string{"× deployment koordinator-io/koordinator does not exist", "delete MutatingWebhookConfiguration koordinator"},
		},
		"replicas that cannot start": {
			func(_ *testing.T, w *world) {
				w.deployment.Status.ReadyReplicas = 0
				w.more = append(w.more, &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Namespace: "koordinator-io", Name: "koordinator-1", Labels: map[string]string{"app": "koordinator"}},
					Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
						Name: "webhook", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "not found"}},
					}}},
				})
			},
			[]string{"× deployment koordinator-io/koordinator: 0 of 2 replicas are ready\n  pod koordinator-1: container webhook: ImagePullBackOff: not found"},
		},
		"replicas that cannot be scheduled": {
			func(_ *testing.T, w *world) {
				w.deployment.Status.ReadyReplicas = 1
				w.more = append(w.more, &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Namespace: "koordinator-io", Name: "koordinator-1", Labels: map[string]string{"app": "koordinator"}},
					Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes are available"}}},
				})
			},
			[]string{"‼ deployment koordinator-io/koordinator: 1 of 2 replicas are ready\n  pod koordinator-1: 0/1 nodes are available"},
		},
		"cert-manager is gone": {func(_ *testing.T, w *world) { w.noCertManager = true }, []string{"× cert-manager is not installed, and", "√ serving certificate issued by koordinator-ca"}},
		"no Certificate":       {func(_ *testing.T, w *world) { w.managed = nil }, []string{"‼ no Certificate of cert-manager writes secret koordinator-io/koordinator-tls"}},
		"a Certificate that cert-manager did not process": {
			func(_ *testing.T, w *world) { w.managed.Status = cmapi.CertificateStatus{} },
			[]string{"× Certificate koordinator-io/koordinator has no state yet"},
		},
		"a Certificate that is not ready, and its issuer": {
			func(_ *testing.T, w *world) {
				w.managed.Status.Conditions[0].Status, w.managed.Status.Conditions[0].Message = cmmeta.ConditionFalse, "Issuing certificate"
				w.issuer.Status.Conditions[0].Status, w.issuer.Status.Conditions[0].Message = cmmeta.ConditionFalse, "vault is sealed"
				w.secret.Data = nil
			},
			[]string{
				"× Certificate koordinator-io/koordinator is not ready: Issuing certificate\n  Issuer koordinator is not ready: vault is sealed",
				"× secret koordinator-io/koordinator-tls has no serving certificate: tls.crt is empty",
			},
		},
		"an issuer that does not exist": {
			func(_ *testing.T, w *world) {
				w.managed.Status.Conditions[0].Status = cmmeta.ConditionFalse
				w.managed.Spec.IssuerRef = cmmeta.IssuerReference{Name: "corporate", Kind: "ClusterIssuer"}
			},
			[]string{"ClusterIssuer corporate does not exist"},
		},
		"a failed renewal": {
			func(_ *testing.T, w *world) {
				w.managed.Status.FailedIssuanceAttempts = new(3)
				w.managed.Status.Conditions = append(w.managed.Status.Conditions, cmapi.CertificateCondition{Type: cmapi.CertificateConditionIssuing, Status: cmmeta.ConditionFalse, Message: "denied by policy"})
			},
			[]string{"‼ Certificate koordinator-io/koordinator: the last renewal failed (3 attempts): denied by policy"},
		},
		"a renewal that is due": {
			func(_ *testing.T, w *world) {
				w.managed.Status.RenewalTime = new(metav1.NewTime(now.AddDate(0, 0, -3)))
			},
			[]string{"‼ Certificate koordinator-io/koordinator: its renewal was due 3 days ago"},
		},
		"no secret of its own": {func(_ *testing.T, w *world) {
			w.secret = nil
			w.deployment.Spec.Template.Spec.Containers[0].Args = []string{"--secret=koordinator-tls"}
		}, []string{"× secret koordinator-io/koordinator-tls with the serving certificate does not exist\n    Restore it: run helm upgrade"}},
		"no secret": {func(_ *testing.T, w *world) { w.secret = nil }, []string{"× secret koordinator-io/koordinator-tls with the serving certificate does not exist"}},
		"a secret that may not be read": {
			func(_ *testing.T, w *world) { w.denied = []client.Object{&corev1.Secret{}} },
			[]string{"√ serving certificate issued by issuer koordinator, valid 61 days, trust not checked"},
		},
		"a secret that may not be read, without cert-manager": {
			func(_ *testing.T, w *world) {
				selfSigned(w)
				w.denied = []client.Object{&corev1.Secret{}}
			},
			[]string{"‼ not checked: the serving certificate in secret koordinator-io/koordinator-tls"},
		},
		"a self-signed certificate": {
			func(_ *testing.T, w *world) { selfSigned(w) },
			[]string{"√ serving certificate issued by koordinator-ca, valid 61 days, trusted by both configurations"},
		},
		"an expired certificate": {
			func(t *testing.T, w *world) {
				_, w.secret.Data["tls.crt"] = authority(t, "koordinator-ca", now.AddDate(0, 0, -90), now.AddDate(0, 0, -2))
			},
			[]string{"× the serving certificate expired 2 days ago"},
		},
		"a certificate for a day": {
			func(t *testing.T, w *world) {
				ca, cert := authority(t, "koordinator-ca", now.Add(-12*time.Hour), now.Add(12*time.Hour))
				w.secret.Data["tls.crt"], w.mutating.Webhooks[0].ClientConfig.CABundle, w.validating.Webhooks[0].ClientConfig.CABundle = cert, ca, ca
			},
			[]string{"√ serving certificate issued by koordinator-ca, valid 12 hours"},
		},
		"a certificate that is about to expire": {
			func(t *testing.T, w *world) {
				ca, cert := authority(t, "koordinator-ca", now.AddDate(0, 0, -90), now.Add(30*time.Hour))
				w.secret.Data["tls.crt"], w.mutating.Webhooks[0].ClientConfig.CABundle, w.validating.Webhooks[0].ClientConfig.CABundle = cert, ca, ca
			},
			[]string{"‼ the serving certificate expires in 30 hours and was not renewed"},
		},
		"a certificate of another authority": {
			func(t *testing.T, w *world) {
				_, w.secret.Data["tls.crt"] = authority(t, "another", now.AddDate(0, 0, -1), now.AddDate(0, 0, 89))
			},
			[]string{"× MutatingWebhookConfiguration koordinator does not trust the serving certificate: x509: ", "\n  ValidatingWebhookConfiguration koordinator does not trust", "CA injector"},
		},
		"a configuration without an authority": {
			func(_ *testing.T, w *world) { w.validating.Webhooks[0].ClientConfig.CABundle = nil },
			[]string{"× ValidatingWebhookConfiguration koordinator does not trust the serving certificate: its caBundle is empty"},
		},
		"a user who may only read pods": {
			func(_ *testing.T, w *world) {
				w.denied = []client.Object{&admissionregistrationv1.MutatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}}
			},
			[]string{"‼ not checked: the installation", "√ the namespace is enabled"},
		},
		"a namespace that does not exist": {func(_ *testing.T, w *world) { w.namespace = nil }, []string{`× namespace "shop" does not exist`}},
		"a namespace that is not enabled": {
			func(_ *testing.T, w *world) { delete(w.namespace.Labels, "koordinator.io/injection") },
			[]string{"× the namespace is not enabled", "kubectl label namespace shop koordinator.io/injection=enabled"},
		},
		"a namespace that is not enabled and not named": {
			func(_ *testing.T, w *world) {
				delete(w.namespace.Labels, "koordinator.io/injection")
				w.question.Named = false
			},
			[]string{"‼ the namespace is not enabled"},
		},
		"a namespace that is excluded": {
			func(_ *testing.T, w *world) {
				w.mutating.Webhooks[0].NamespaceSelector.MatchExpressions[1].Values = []string{"shop"}
			},
			[]string{"× the namespace has the label koordinator.io/injection=enabled, but the installation excludes it"},
		},
		"rules and pods that opt in": {
			func(_ *testing.T, w *world) {
				w.namespace.Labels = nil
				for _, name := range []string{optInWebhook, "mesh" + rulesSuffix} {
					w.mutating.Webhooks = append(w.mutating.Webhooks, admissionregistrationv1.MutatingWebhook{Name: name, ClientConfig: w.mutating.Webhooks[0].ClientConfig})
				}
			},
			[]string{"√ the namespace is not enabled; pods with the label koordinator.io/injection=enabled are injected", "√ rules for pods in it: mesh"},
		},
		"a webhook that cannot be reached": {
			func(_ *testing.T, w *world) {
				w.dryRun = apierrors.NewInternalError(errors.New(`failed calling webhook "pods.koordinator.io": context deadline exceeded`))
			},
			[]string{"× a pod cannot be created in the namespace (dry run): ", "network policies"},
		},
		"another policy": {
			func(_ *testing.T, w *world) {
				w.dryRun = apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "koordinator-check-x", errors.New("exceeded quota"))
			},
			[]string{"‼ not checked: whether a new pod is injected, because the cluster rejects the pod that would show it: "},
		},
		"an installation for certain pods": {
			func(_ *testing.T, w *world) {
				w.noPatch = true
				w.mutating.Webhooks[0].ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "shop"}}
			},
			[]string{"√ only pods with certain labels are injected (webhook.objectSelector)"},
		},
		"a pod that comes back as it was": {func(_ *testing.T, w *world) { w.noPatch = true }, []string{"× a pod that is created in the namespace is not injected (dry run)"}},
		"pods of before": {
			func(_ *testing.T, w *world) {
				w.more = append(w.more, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Annotations: map[string]string{"koordinator.io/start-deps": "main: proxy"}}})
			},
			[]string{"‼ not injected, although annotated: 1 pod (web)", "kubectl koordinator check pod/web -n shop"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy(t)
			test.provoke(t, w)
			report, err := w.checker(t).Check(t.Context(), w.question)
			if err != nil {
				t.Fatal(err)
			}
			text := printed(t, report)
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in:\n%s", want, text)
				}
			}
			bad := strings.HasPrefix(test.want[0], "×") || strings.HasPrefix(test.want[0], "ClusterIssuer")
			if have := report.Count(Error) > 0; have != bad {
				t.Errorf("errors: %v, want %v:\n%s", have, bad, text)
			}
		})
	}
}

func TestWhyAPodIsNotInjected(t *testing.T) {
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web", CreationTimestamp: metav1.NewTime(now), Annotations: map[string]string{"koordinator.io/start-deps": "main: proxy"},
		}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}}}
		change(p)
		return p
	}
	inject := func(p *corev1.Pod) { p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: spec.Env}} }
	status := func(text string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Annotations["koordinator.io/status"] = text }
	}
	for name, test := range map[string]struct {
		pod   *corev1.Pod
		world func(*world)
		want  string
	}{
		"injected": {pod(func(p *corev1.Pod) {
			inject(p)
			status(`{"version":"v1.2.3","wrapped":["main","proxy"],"rule":"mesh"}`)(p)
		}), nil, "√ injected: main, proxy, by rule mesh (version v1.2.3)"},
		"injected by the tool":  {pod(inject), nil, "√ injected, without the webhook"},
		"nothing to wrap":       {pod(status(`{"reason":"nothing_to_wrap"}`)), nil, "√ processed by the webhook; none of its containers"},
		"an image is not known": {pod(status(`{"skipped":true}`)), nil, "× not injected: the command of a container could not be looked up"},
		"on Windows":            {pod(status(`{"reason":"windows"}`)), nil, "√ not injected: koordinator does not support Windows"},
		"a rule does not fit":   {pod(status(`{"rule":"mesh","reason":"rule_unfit"}`)), nil, `‼ not injected: the annotations of rule "mesh" do not fit this pod`},
		"another reason":        {pod(status(`{"reason":"something"}`)), nil, "‼ processed by the webhook, which did not change it (something)"},
		"disabled":              {pod(func(p *corev1.Pod) { p.Annotations["koordinator.io/inject"] = "false" }), nil, "√ not injected: the annotation koordinator.io/inject is"},
		"no annotation":         {pod(func(p *corev1.Pod) { p.Annotations = nil }), nil, "× not injected: the pod has no koordinator annotation"},
		"static":                {pod(func(p *corev1.Pod) { p.Annotations[corev1.MirrorPodAnnotationKey] = "x" }), nil, "‼ not injected: koordinator cannot change a static pod"},
		"static and disabled": {pod(func(p *corev1.Pod) {
			p.Annotations[corev1.MirrorPodAnnotationKey], p.Annotations["koordinator.io/inject"] = "x", "false"
		}), nil, "√ not injected: the annotation koordinator.io/inject is"},
		"the namespace is not enabled": {
			pod(func(*corev1.Pod) {}), func(w *world) { w.namespace.Labels = nil },
			"× not injected: namespace shop is not enabled\n    To enable it: kubectl label namespace shop koordinator.io/injection=enabled. Delete the pod, and create it again",
		},
		"the installation selects other namespaces": {
			pod(func(*corev1.Pod) {}), func(w *world) {
				w.namespace.Labels = nil
				w.mutating.Webhooks[0].NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "batch"}}
			},
			"× not injected: namespace shop is not enabled\n    To enable it: add labels to the namespace that match tier=batch. Delete the pod, and create it again",
		},
		"it did not opt in": {pod(func(*corev1.Pod) {}), func(w *world) {
			w.namespace.Labels = nil
			w.mutating.Webhooks = append(w.mutating.Webhooks, admissionregistrationv1.MutatingWebhook{Name: optInWebhook, ClientConfig: w.mutating.Webhooks[0].ClientConfig})
		}, "× not injected: neither the namespace nor the pod has the label koordinator.io/injection=enabled"},
		"the installation selects other pods": {pod(func(*corev1.Pod) {}), func(w *world) {
			w.mutating.Webhooks[0].ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}
		}, "× not injected: the installation does not select pods with these labels"},
		"older than the installation": {
			pod(func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now.AddDate(-1, 0, 0)) }), nil,
			"× not injected: the pod was created before koordinator was installed",
		},
		"older than the label": {pod(func(p *corev1.Pod) { p.OwnerReferences = []metav1.OwnerReference{{Controller: new(true)}} }), func(w *world) {
			w.namespace.ManagedFields = []metav1.ManagedFieldsEntry{{
				Manager: "kubectl-label", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1",
				Time: new(metav1.NewTime(now.Add(time.Minute))), FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{"f:koordinator.io/injection":{}}}}`),
			}}
		}, "× not injected: the pod was created before the namespace was enabled\n    Delete the pod, so that its controller creates it again"},
		"the webhook was not called": {pod(func(*corev1.Pod) {}), nil, "× not injected: the webhook was not called when the pod was created"},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy(t)
			if test.world != nil {
				test.world(w)
			}
			report, err := w.checker(t).Check(t.Context(), Question{Pods: []corev1.Pod{*test.pod}})
			if err != nil {
				t.Fatal(err)
			}
			if text := printed(t, report); !strings.Contains(text, "pod shop/web\n------------\n"+test.want) {
				t.Errorf("no %q in:\n%s", test.want, text)
			}
		})
	}
}

func TestWhyAWorkloadHasNoPod(t *testing.T) {
	event := func(kind, name, message string, ago time.Duration) *corev1.Event {
		return &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name + "." + ago.String()}, Reason: "FailedCreate", Message: message,
			InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name}, LastTimestamp: metav1.NewTime(now.Add(-ago)),
		}
	}
	w := healthy(t)
	w.more = []client.Object{
		event("ReplicaSet", "web-5d8", "the old mistake", time.Hour), event("ReplicaSet", "web-7f6", "unknown container", time.Minute),
		event("ReplicaSet", "web-api-1", "of another", time.Second), event("Job", "report", "a cycle", time.Minute),
	}
	report, err := w.checker(t).Check(t.Context(), Question{Namespace: "shop", Missing: []Owner{{"deployment", "web"}, {"job", "report"}, {"job", "none"}, {"pod", "web-x"}}})
	if err != nil {
		t.Fatal(err)
	}
	text := printed(t, report)
	for _, want := range []string{"deployment shop/web\n-------------------\n× it has no pod: unknown container\n", "× it has no pod: a cycle\n", "× it has no pod, and no event gives the reason\n", "pod shop/web-x\n--------------\n× it does not exist\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

func TestVersionOfADeployment(t *testing.T) {
	for image, want := range map[string]string{
		"registry.example:5000/koordinator/webhook:v1.3.0": "v1.3.0", "koordinator/webhook:v1.3.0@sha256:abc": "v1.3.0",
		"registry.example:5000/koordinator/webhook": "v1.2.3", "koordinator/webhook@sha256:abc": "v1.2.3",
	} {
		d := healthy(t).deployment
		d.Spec.Template.Spec.Containers[0].Image = image
		if have := VersionOf(d); have != want {
			t.Errorf("%s: version %q, want %q", image, have, want)
		}
	}
}

func TestRequirements(t *testing.T) {
	for name, test := range map[string]struct {
		provoke func(*world)
		want    string
	}{
		"fine":                    {func(w *world) { w.mutating = nil }, "√ you are allowed to create everything that the chart contains\n√ cert-manager is installed\n√ koordinator is not installed yet\n"},
		"not an administrator":    {func(w *world) { w.mutating, w.refused = nil, "clusterroles" }, "× you are not allowed to create clusterroles.rbac.authorization.k8s.io\n"},
		"not any role":            {func(w *world) { w.mutating, w.refused = nil, "escalate" }, "√ you are allowed to create everything that the chart contains\n‼ you may create only roles and bindings whose permissions you have yourself, because you do not have the verb escalate on clusterroles\n"},
		"not any binding":         {func(w *world) { w.mutating, w.refused = nil, "bind" }, "‼ you may create only roles and bindings whose permissions you have yourself, because you do not have the verb bind on clusterroles\n"},
		"no cert-manager objects": {func(w *world) { w.mutating, w.refused = nil, "issuers" }, "× you are not allowed to create issuers.cert-manager.io\n"},
		"no need of them":         {func(w *world) { w.mutating, w.refused, w.noCertManager = nil, "issuers", true }, "√ you are allowed to create everything that the chart contains\n"},
		"of a namespace only": {
			func(w *world) { w.mutating, w.namespaced = nil, true },
			"× you are not allowed to create mutatingwebhookconfigurations.admissionregistration.k8s.io, validatingwebhookconfigurations.admissionregistration.k8s.io, validatingadmissionpolicies.admissionregistration.k8s.io, validatingadmissionpolicybindings.admissionregistration.k8s.io, clusterroles.rbac.authorization.k8s.io, clusterrolebindings.rbac.authorization.k8s.io\n",
		},
		"no cert-manager": {func(w *world) { w.mutating, w.noCertManager = nil, true }, "‼ cert-manager is not installed\n"},
		"installed":       {func(*world) {}, "‼ koordinator is installed already: MutatingWebhookConfiguration koordinator\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy(t)
			test.provoke(w)
			report, err := w.checker(t).Requirements(t.Context(), "koordinator-io")
			if err != nil {
				t.Fatal(err)
			}
			if text := printed(t, report); !strings.Contains(text, test.want) {
				t.Errorf("no %q in:\n%s", test.want, text)
			}
		})
	}
}

func TestTheOldestVersionIsTheChartsOldest(t *testing.T) {
	text, err := os.ReadFile("../../charts/koordinator/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var chart struct{ KubeVersion string }
	if err := yaml.Unmarshal(text, &chart); err != nil {
		t.Fatal(err)
	}
	if want := ">=" + Oldest + "-0"; chart.KubeVersion != want {
		t.Errorf("kubeVersion %q, want %q", chart.KubeVersion, want)
	}
}
