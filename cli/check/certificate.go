package check

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// soon is the time before its end at which a certificate should have been renewed. A
// certificate that is valid for less than five times as long should have been renewed when
// a fifth of its validity was left.
const soon = 7 * 24 * time.Hour

// certificate checks the certificate that the webhook serves, and whether the API server trusts it.
func (c *Checker) certificate(ctx context.Context, s *Section, found installation) error {
	name, mounted := secretOf(found.deployment)
	if name == "" {
		s.warn(fmt.Sprintf("not checked: the serving certificate, because deployment %s does not specify the secret", found.service), "")
		return nil
	}
	var managed *cmapi.Certificate
	if mounted {
		var err error
		if managed, err = c.managed(ctx, s, found.service.Namespace, name); err != nil {
			return err
		}
	}
	var secret corev1.Secret
	key := client.ObjectKey{Namespace: found.service.Namespace, Name: name}
	err := c.API.Get(ctx, key, &secret)
	switch {
	case apierrors.IsForbidden(err) && managed != nil && managed.Status.NotAfter != nil:
		c.dates(s, "issuer "+managed.Spec.IssuerRef.Name, managed.Status.NotBefore, managed.Status.NotAfter.Time, "trust not checked, because you are not allowed to read secret "+key.String(), renewal(mounted, key))
	case apierrors.IsNotFound(err):
		remedy := renewal(mounted, key)
		if !mounted { // the leader may only update it
			remedy = "Restore it: run helm upgrade with the values of the release. The leading replica then writes a new certificate"
		}
		s.bad(fmt.Sprintf("secret %s with the serving certificate does not exist", key), remedy)
	case err != nil && denied(s, err, "the serving certificate in secret "+key.String()):
	case err != nil:
		return fmt.Errorf("get secret %s: %w", key, err)
	default:
		c.serving(s, found, key, secret.Data[corev1.TLSCertKey], mounted)
	}
	return nil
}

// secretOf returns the name of the secret with the certificate of the chart's deployment,
// "" if unknown. mounted reports whether the deployment mounts the secret, which it does
// for certificates from cert-manager.
func secretOf(d *appsv1.Deployment) (name string, mounted bool) {
	spec := d.Spec.Template.Spec
	for _, container := range spec.Containers {
		for _, arg := range container.Args {
			if name, is := strings.CutPrefix(arg, "--secret="); is {
				return name, false
			}
			dir, is := strings.CutPrefix(arg, "--cert-dir=")
			if !is {
				continue
			}
			m := slices.IndexFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == dir })
			v := slices.IndexFunc(spec.Volumes, func(v corev1.Volume) bool {
				return m >= 0 && v.Name == container.VolumeMounts[m].Name && v.Secret != nil
			})
			if v >= 0 {
				return spec.Volumes[v].Secret.SecretName, true
			}
		}
	}
	return "", false
}

// renewal returns the remedy for a certificate that is missing or about to expire.
func renewal(mounted bool, key client.ObjectKey) string {
	if mounted {
		return fmt.Sprintf("See kubectl -n %s describe certificate, and the log of cert-manager", key.Namespace)
	}
	return fmt.Sprintf("The leading replica writes it. See kubectl -n %s logs -l app.kubernetes.io/component=webhook", key.Namespace)
}

// managed checks cert-manager's Certificate that writes a secret, and returns it. It
// returns nil if the Certificate is missing or may not be read.
func (c *Checker) managed(ctx context.Context, s *Section, namespace, secret string) (*cmapi.Certificate, error) {
	var list cmapi.CertificateList
	err := c.API.List(ctx, &list, client.InNamespace(namespace))
	switch {
	case meta.IsNoMatchError(err):
		s.bad("cert-manager is not installed, and the chart's value certificates is cert-manager", "Install cert-manager, or set certificates: self-signed in the chart's values")
		return nil, nil
	case err != nil && denied(s, err, "Certificates of cert-manager in namespace "+namespace):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list Certificates of cert-manager: %w", err)
	}
	i := slices.IndexFunc(list.Items, func(c cmapi.Certificate) bool { return c.Spec.SecretName == secret })
	if i < 0 {
		s.warn(fmt.Sprintf("no Certificate of cert-manager writes secret %s/%s, so that the certificate is not renewed", namespace, secret),
			"Restore the Certificate: run helm upgrade with the values of the release")
		return nil, nil
	}
	found := &list.Items[i]
	c.judgeManaged(ctx, s, found)
	return found, nil
}

// judgeManaged checks the state of a Certificate.
func (c *Checker) judgeManaged(ctx context.Context, s *Section, found *cmapi.Certificate) {
	name := found.Namespace + "/" + found.Name
	describe := fmt.Sprintf("See kubectl -n %s describe certificate %s", found.Namespace, found.Name)
	ready := conditionOf(found, cmapi.CertificateConditionReady)
	due := found.Status.RenewalTime
	switch {
	case ready == nil:
		s.bad("Certificate "+name+" has no state yet: cert-manager did not process it", "Check that cert-manager runs: kubectl get pod -A -l app.kubernetes.io/instance=cert-manager")
	case ready.Status != cmmeta.ConditionTrue:
		s.bad(fmt.Sprintf("Certificate %s is not ready: %s", name, cmp.Or(ready.Message, ready.Reason))+c.issuer(ctx, found), describe)
	case found.Status.FailedIssuanceAttempts != nil && *found.Status.FailedIssuanceAttempts > 0:
		text := fmt.Sprintf("Certificate %s: the last renewal failed (%s)", name, plural(*found.Status.FailedIssuanceAttempts, "attempt"))
		if issuing := conditionOf(found, cmapi.CertificateConditionIssuing); issuing != nil && issuing.Message != "" {
			text += ": " + issuing.Message
		}
		s.warn(text+c.issuer(ctx, found), describe)
	case due != nil && due.Time.Before(c.Now().Add(-time.Hour)):
		s.warn(fmt.Sprintf("Certificate %s: its renewal was due %s ago", name, span(c.Now().Sub(due.Time))), describe)
	default:
		s.ok("Certificate %s is ready (cert-manager)", name)
	}
}

// conditionOf returns a condition of a Certificate, or nil.
func conditionOf(of *cmapi.Certificate, kind cmapi.CertificateConditionType) *cmapi.CertificateCondition {
	for i := range of.Status.Conditions {
		if of.Status.Conditions[i].Type == kind {
			return &of.Status.Conditions[i]
		}
	}
	return nil
}

// issuer returns the problem of a Certificate's issuer. It returns "" if there is none, if
// the issuer is of another API group, or if it cannot be read.
func (c *Checker) issuer(ctx context.Context, of *cmapi.Certificate) string {
	ref := of.Spec.IssuerRef
	var object cmapi.GenericIssuer = &cmapi.Issuer{}
	key := client.ObjectKey{Namespace: of.Namespace, Name: ref.Name}
	if ref.Kind == cmapi.ClusterIssuerKind {
		object, key.Namespace = &cmapi.ClusterIssuer{}, ""
	}
	if ref.Group != "" && ref.Group != cmapi.SchemeGroupVersion.Group {
		return ""
	}
	name := cmp.Or(ref.Kind, cmapi.IssuerKind) + " " + ref.Name
	switch err := c.API.Get(ctx, key, object); {
	case apierrors.IsNotFound(err):
		return "\n" + name + " does not exist"
	case err != nil:
		return ""
	}
	for _, condition := range object.GetStatus().Conditions {
		if condition.Type == cmapi.IssuerConditionReady && condition.Status != cmmeta.ConditionTrue {
			return fmt.Sprintf("\n%s is not ready: %s", name, condition.Message)
		}
	}
	return ""
}

// serving checks the certificate in a secret.
func (c *Checker) serving(s *Section, found installation, key client.ObjectKey, text []byte, mounted bool) {
	leaf, chain, err := parse(text)
	if err != nil {
		s.bad(fmt.Sprintf("secret %s has no serving certificate: %v", key, err), renewal(mounted, key))
		return
	}
	issuer := cmp.Or(leaf.Issuer.CommonName, leaf.Issuer.String())
	dnsName := fmt.Sprintf("%s.%s.svc", found.service.Name, found.service.Namespace)
	bundles := found.bundles()
	var distrust []string
	for _, b := range bundles {
		if err := verify(leaf, chain, b.pem, dnsName, c.Now()); err != nil {
			distrust = append(distrust, fmt.Sprintf("%s does not trust the serving certificate: %v", b.name, err))
		}
	}
	if c.Now().After(leaf.NotAfter) || len(distrust) == 0 {
		trust := "trusted by both configurations"
		if found.workloads == nil {
			trust = "trusted by the configuration"
		}
		c.dates(s, issuer, &metav1.Time{Time: leaf.NotBefore}, leaf.NotAfter, trust, renewal(mounted, key))
		return
	}
	remedy := renewal(false, key) + ". It writes the caBundle too"
	if mounted {
		remedy = "cert-manager's CA injector writes the caBundle. Check that it runs, and that the configuration has the annotation cert-manager.io/inject-ca-from"
	}
	s.bad(strings.Join(slices.Compact(distrust), "\n"), remedy)
}

// dates checks the end of a certificate's validity. begin is nil if the start of the
// validity is unknown.
func (c *Checker) dates(s *Section, issuer string, begin *metav1.Time, end time.Time, trust, remedy string) {
	left, renewed := end.Sub(c.Now()), soon
	if begin != nil {
		renewed = min(soon, end.Sub(begin.Time)/5)
	}
	switch {
	case left <= 0:
		s.bad(fmt.Sprintf("the serving certificate expired %s ago", span(-left)), remedy)
	case left < renewed:
		s.warn(fmt.Sprintf("the serving certificate expires in %s and was not renewed", span(left)), remedy)
	default:
		s.ok("serving certificate issued by %s, valid %s, %s", issuer, span(left), trust)
	}
}

// span returns a duration in words: in days, or in hours if it is short.
func span(d time.Duration) string {
	if d < 48*time.Hour {
		return plural(int(d.Hours()), "hour")
	}
	return plural(int(d.Hours()/24), "day")
}

// bundle holds the certificate authorities that the API server trusts for one webhook.
type bundle struct {
	name string // of the configuration
	pem  []byte
}

// bundles returns the bundles of all webhooks.
func (found installation) bundles() []bundle {
	var all []bundle
	for _, w := range found.pods.Webhooks {
		all = append(all, bundle{"MutatingWebhookConfiguration " + found.pods.Name, w.ClientConfig.CABundle})
	}
	if found.workloads != nil {
		for _, w := range found.workloads.Webhooks {
			all = append(all, bundle{"ValidatingWebhookConfiguration " + found.workloads.Name, w.ClientConfig.CABundle})
		}
	}
	return all
}

// parse reads a certificate and the intermediate certificates after it.
func parse(text []byte) (*x509.Certificate, *x509.CertPool, error) {
	var leaf *x509.Certificate
	chain := x509.NewCertPool()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		one, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
			return nil, nil, err
		case leaf == nil:
			leaf = one
		default:
			chain.AddCert(one)
		}
	}
	if leaf == nil {
		return nil, nil, errors.New(corev1.TLSCertKey + " is empty")
	}
	return leaf, chain, nil
}

// verify returns the reason why the API server would not accept a certificate, or nil.
func verify(leaf *x509.Certificate, chain *x509.CertPool, authorities []byte, dnsName string, now time.Time) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authorities) {
		return errors.New("its caBundle is empty")
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: dnsName, Roots: roots, Intermediates: chain, CurrentTime: now})
	return err
}
