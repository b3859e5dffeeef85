package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// created is a kind of object that the chart contains.
type created struct {
	schema.GroupResource

	namespaced bool
}

// needed lists the kinds of objects in the chart with its default values, and ofCertManager
// those that it also contains if cert-manager is installed.
var (
	needed = []created{
		{schema.GroupResource{Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations"}, false},
		{schema.GroupResource{Group: "admissionregistration.k8s.io", Resource: "validatingwebhookconfigurations"}, false},
		{schema.GroupResource{Group: "admissionregistration.k8s.io", Resource: "validatingadmissionpolicies"}, false},
		{schema.GroupResource{Group: "admissionregistration.k8s.io", Resource: "validatingadmissionpolicybindings"}, false},
		{schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}, false},
		{schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"}, false},
		{schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "roles"}, true},
		{schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "rolebindings"}, true},
		{schema.GroupResource{Group: "policy", Resource: "poddisruptionbudgets"}, true},
		{schema.GroupResource{Group: "apps", Resource: "deployments"}, true},
		{schema.GroupResource{Resource: "secrets"}, true},
		{schema.GroupResource{Resource: "services"}, true},
		{schema.GroupResource{Resource: "serviceaccounts"}, true},
		{schema.GroupResource{Resource: "configmaps"}, true},
	}
	ofCertManager = []created{
		{schema.GroupResource{Group: cmapi.SchemeGroupVersion.Group, Resource: "issuers"}, true},
		{schema.GroupResource{Group: cmapi.SchemeGroupVersion.Group, Resource: "certificates"}, true},
	}
)

// Requirements checks whether koordinator can be installed into a namespace.
func (c *Checker) Requirements(ctx context.Context, namespace string) (Report, error) {
	var r Report
	s := r.section("requirements")
	if err := c.kubernetes(s); err != nil {
		return r, err
	}
	certManager, err := c.certManager()
	if err != nil {
		return r, err
	}
	kinds := needed
	if certManager {
		kinds = slices.Concat(kinds, ofCertManager)
	}
	if err := c.permissions(ctx, s, namespace, kinds); err != nil {
		return r, err
	}
	if certManager {
		s.ok("cert-manager is installed")
	} else {
		s.warn("cert-manager is not installed", "Install cert-manager first, or install the chart with --set certificates=self-signed")
	}
	return r, c.vacant(ctx, s)
}

// permissions checks whether the user may create the objects of the chart.
func (c *Checker) permissions(ctx context.Context, s *Section, namespace string, kinds []created) error {
	var refused []string
	for _, resource := range kinds {
		of := authorizationv1.ResourceAttributes{Verb: "create", Group: resource.Group, Resource: resource.Resource}
		if resource.namespaced {
			of.Namespace = namespace // not for cluster-scoped objects, for which a Role in the namespace would seem to suffice
		}
		review := authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &of}}
		if err := c.API.Create(ctx, &review); err != nil {
			return fmt.Errorf("ask for permissions: %w", err)
		}
		if !review.Status.Allowed {
			refused = append(refused, resource.String())
		}
	}
	if len(refused) > 0 {
		s.bad("you are not allowed to create "+strings.Join(refused, ", "), "Have an administrator of the cluster install the chart")
		return nil
	}
	s.ok("you are allowed to create everything that the chart contains")
	return c.grants(ctx, s)
}

// grants checks whether the user may create roles and bindings whatever they contain.
// Another user may create only those whose permissions the user has.
func (c *Checker) grants(ctx context.Context, s *Section) error {
	for _, verb := range []string{"escalate", "bind"} {
		review := authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: "rbac.authorization.k8s.io", Resource: "clusterroles",
		}}}
		if err := c.API.Create(ctx, &review); err != nil {
			return fmt.Errorf("ask for permissions: %w", err)
		}
		if !review.Status.Allowed {
			s.warn("you may create only roles and bindings whose permissions you have yourself, because you do not have the verb "+verb+" on clusterroles",
				"Have an administrator of the cluster install the chart, or see the permissions in the ClusterRoles of helm template")
			return nil
		}
	}
	return nil
}

// certManager reports whether cert-manager is installed.
func (c *Checker) certManager() (bool, error) {
	_, err := c.API.RESTMapper().RESTMapping(schema.GroupKind{Group: cmapi.SchemeGroupVersion.Group, Kind: cmapi.CertificateKind}, cmapi.SchemeGroupVersion.Version)
	switch {
	case meta.IsNoMatchError(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for cert-manager: %w", err)
	default:
		return true, nil
	}
}

// vacant checks that koordinator is not installed yet.
func (c *Checker) vacant(ctx context.Context, s *Section) error {
	var all admissionregistrationv1.MutatingWebhookConfigurationList
	if err := c.API.List(ctx, &all); err != nil {
		if denied(s, err, "whether koordinator is installed already") {
			return nil
		}
		return fmt.Errorf("list MutatingWebhookConfigurations: %w", err)
	}
	for i := range all.Items {
		if forPods(&all.Items[i]) != nil {
			s.warn("koordinator is installed already: MutatingWebhookConfiguration "+all.Items[i].Name, "To check the installation: kubectl koordinator check")
			return nil
		}
	}
	s.ok("koordinator is not installed yet")
	return nil
}
