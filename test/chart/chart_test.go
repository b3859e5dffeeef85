package chart

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Objects of the release in these tests, which has the name shop and the namespace platform.
const (
	deployment    = "Deployment shop"
	configuration = "MutatingWebhookConfiguration shop"
)

// selfSigned makes the webhook create its own certificate.
const selfSigned = "certificates=self-signed"

// certificateObjects lists the objects that only cert-manager needs.
var certificateObjects = []string{"Certificate shop", "Certificate shop-ca", "Issuer shop", "Issuer shop-selfsigned", "Secret shop-ca", "Secret shop-tls"}

func TestWhatAReleaseConsistsOf(t *testing.T) {
	always := []string{
		"ClusterRole koordinator-pod-reader", "ClusterRole shop-webhook", "ClusterRoleBinding shop-webhook",
		deployment, configuration, "Pod shop-check", "Role shop-webhook", "RoleBinding shop-webhook",
		"Service shop", "ServiceAccount shop", "ConfigMap shop-commands", "ValidatingWebhookConfiguration shop",
	}
	for _, policy := range []string{
		"limit-grants", "refuse-uninjected", "warn-misplaced-cronjobs", "warn-misplaced-namespaces", "warn-misplaced-pods", "warn-misplaced-workloads",
		"warn-unlabelled-cronjobs", "warn-unlabelled-pods", "warn-unlabelled-workloads",
	} {
		always = append(always, "ValidatingAdmissionPolicy shop-"+policy, "ValidatingAdmissionPolicyBinding shop-"+policy)
	}
	for _, tt := range []struct {
		name string
		args []string
		more []string
	}{
		{"by default", nil, append([]string{"PodDisruptionBudget shop"}, certificateObjects...)},
		{
			"with an issuer of the company",
			[]string{"--set", "certManager.issuerRef.name=company"},
			[]string{"PodDisruptionBudget shop", "Certificate shop", "Secret shop-tls"},
		},
		{"self-signed", []string{"--set", selfSigned}, []string{"PodDisruptionBudget shop", "Secret shop-cert"}},
		{"a single copy", []string{"--set", selfSigned, "--set", "replicas=1"}, []string{"Secret shop-cert"}},
		{
			"without a disruption budget",
			[]string{"--set", selfSigned, "--set", "podDisruptionBudget.enabled=false"},
			[]string{"Secret shop-cert"},
		},
		{
			"with a network policy and a service monitor",
			[]string{"--set", selfSigned, "--set", "replicas=1,networkPolicy.enabled=true,metrics.serviceMonitor.enabled=true"},
			[]string{"Secret shop-cert", "NetworkPolicy shop", "ServiceMonitor shop"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var have []string
			for key := range render(t, tt.args...) {
				have = append(have, key)
			}
			want := slices.Concat(always, tt.more)
			slices.Sort(have)
			slices.Sort(want)
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestEveryKindOfRenderingIsKnownToKubernetes(t *testing.T) {
	files, err := filepath.Glob(source + "/ci/*-values.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { render(t, "--values", file) })
	}
}

// container returns the webhook's container.
func container(t *testing.T, all objects) (corev1.PodSpec, corev1.Container) {
	t.Helper()
	spec := as[appsv1.Deployment](t, all, deployment).Spec.Template.Spec
	if len(spec.Containers) != 1 {
		t.Fatalf("%d containers, want 1", len(spec.Containers))
	}
	return spec, spec.Containers[0]
}

func TestPodsMeetPodSecurityRestricted(t *testing.T) {
	all := render(t)
	spec, _ := container(t, all)
	for name, spec := range map[string]corev1.PodSpec{"the webhook": spec, "the check": as[corev1.Pod](t, all, "Pod shop-check").Spec} {
		t.Run(name, func(t *testing.T) {
			if s := spec.SecurityContext; s == nil || !*s.RunAsNonRoot || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("pod: %+v", s)
			}
			for _, c := range spec.Containers {
				s := c.SecurityContext
				if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
					t.Errorf("container: %+v", s)
				}
				if c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
					t.Errorf("resources: %+v", c.Resources)
				}
			}
		})
	}
}

func TestCopiesAreKeptAvailable(t *testing.T) {
	all := render(t)
	d := as[appsv1.Deployment](t, all, deployment)
	if *d.Spec.Replicas < 2 || d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
		t.Errorf("%d replicas, strategy %+v", *d.Spec.Replicas, d.Spec.Strategy)
	}
	pdb := as[policyv1.PodDisruptionBudget](t, all, "PodDisruptionBudget shop")
	if diff := cmp.Diff(d.Spec.Selector, pdb.Spec.Selector); diff != "" {
		t.Errorf("the disruption budget is for other pods:\n%s", diff)
	}
	_, c := container(t, all)
	if p := c.LivenessProbe; p.PeriodSeconds*p.FailureThreshold < 60 || p.TimeoutSeconds < 5 {
		t.Errorf("a busy copy is killed by %+v", p)
	}
	if c.ReadinessProbe.HTTPGet.Path == c.LivenessProbe.HTTPGet.Path {
		t.Error("liveness asks what readiness asks")
	}
}

// TestTheCheckFindsTheServiceOfEveryIPFamily expects the host alone, because the kubelet writes
// an IPv6 address without brackets, so that a template cannot append a port.
func TestTheCheckFindsTheServiceOfEveryIPFamily(t *testing.T) {
	check := as[corev1.Pod](t, render(t), "Pod shop-check").Spec.Containers[0].Args
	if !slices.Contains(check, "--host=$(SHOP_SERVICE_HOST)") {
		t.Errorf("args: %v", check)
	}
}

// TestRecreateHasNoSettingsOfRollingUpdates renders what the API server accepts: it rejects a
// Deployment with both.
func TestRecreateHasNoSettingsOfRollingUpdates(t *testing.T) {
	for set, want := range map[string]appsv1.DeploymentStrategy{
		"strategy.type=Recreate": {Type: appsv1.RecreateDeploymentStrategyType},
		"strategy.type=RollingUpdate": {
			Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: new(intstr.FromInt32(0))},
		},
		"strategy.rollingUpdate=null": {},
	} {
		if diff := cmp.Diff(want, as[appsv1.Deployment](t, render(t, "--set", set), deployment).Spec.Strategy); diff != "" {
			t.Errorf("%s (-want +have):\n%s", set, diff)
		}
	}
}

// TestCopiesRunInDifferentPlaces expects a single spread constraint, for the label that every
// node has: the scheduler leaves a node without a label of one constraint out of all of them.
func TestCopiesRunInDifferentPlaces(t *testing.T) {
	const node, zone = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
	for name, tt := range map[string]struct {
		set                   string
		nodes, zones, nodePin bool
	}{
		"by default":                        {"", true, true, false},
		"with an affinity to nodes":         {`affinity={"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[]}}}`, true, true, true},
		"with an anti-affinity of the user": {`affinity={"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[]}}`, true, false, false},
		"with constraints of the user":      {`topologySpreadConstraints=[{"topologyKey":"rack","maxSkew":1,"whenUnsatisfiable":"DoNotSchedule"}]`, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var args []string
			if tt.set != "" {
				args = []string{"--set-json", tt.set}
			}
			all := render(t, args...)
			selector := as[appsv1.Deployment](t, all, deployment).Spec.Selector
			spec, _ := container(t, all)
			spread := spec.TopologySpreadConstraints
			if nodes := len(spread) == 1 && spread[0].TopologyKey == node && spread[0].WhenUnsatisfiable == corev1.ScheduleAnyway &&
				cmp.Equal(spread[0].LabelSelector, selector) && slices.Equal(spread[0].MatchLabelKeys, []string{"pod-template-hash"}); nodes != tt.nodes {
				t.Errorf("spread constraints: %+v", spread)
			}
			var anti []corev1.WeightedPodAffinityTerm
			if spec.Affinity != nil && spec.Affinity.PodAntiAffinity != nil {
				anti = spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
			}
			if zones := len(anti) == 1 && anti[0].PodAffinityTerm.TopologyKey == zone && cmp.Equal(anti[0].PodAffinityTerm.LabelSelector, selector) &&
				slices.Equal(anti[0].PodAffinityTerm.MatchLabelKeys, []string{"pod-template-hash"}); zones != tt.zones {
				t.Errorf("anti-affinity: %+v", spec.Affinity)
			}
			if pinned := spec.Affinity != nil && spec.Affinity.NodeAffinity != nil; pinned != tt.nodePin {
				t.Errorf("affinity to nodes: %+v", spec.Affinity)
			}
		})
	}
}

func TestDrainingFitsIntoTheGracePeriod(t *testing.T) {
	spec, c := container(t, render(t, "--set", "webhook.drainSeconds=25"))
	if !slices.Contains(c.Args, "--drain=25s") || *spec.TerminationGracePeriodSeconds < 25+15 {
		t.Errorf("%v with a grace period of %d s", c.Args, *spec.TerminationGracePeriodSeconds)
	}
}

func TestCertificateOfCertManagerIsMountedAndNoSecretMayBeRead(t *testing.T) {
	all := render(t)
	spec, c := container(t, all)
	i := slices.IndexFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Secret != nil })
	if i < 0 || spec.Volumes[i].Secret.SecretName != "shop-tls" || len(spec.Volumes[i].Secret.Items) != 2 {
		t.Errorf("volumes: %+v", spec.Volumes)
	}
	if !slices.Contains(c.Args, "--cert-dir=/certificate") || slices.ContainsFunc(c.Args, func(a string) bool { return strings.HasPrefix(a, "--secret") }) {
		t.Errorf("args: %v", c.Args)
	}
	from := as[admissionregistrationv1.MutatingWebhookConfiguration](t, all, configuration).Annotations["cert-manager.io/inject-ca-from"]
	if from != "platform/shop" {
		t.Errorf("authority from %q, want platform/shop", from)
	}
	if spec := all["Certificate shop"].Object["spec"].(map[string]any); spec["secretName"] != "shop-tls" ||
		!slices.Equal(spec["dnsNames"].([]any), []any{"shop.platform.svc"}) {
		t.Errorf("certificate: %v", spec)
	}
	if a := as[admissionregistrationv1.ValidatingWebhookConfiguration](t, all, "ValidatingWebhookConfiguration shop").Annotations; a["cert-manager.io/inject-ca-from"] != "platform/shop" {
		t.Errorf("authority for workloads from %v, want platform/shop", a)
	}
	for key, verbs := range may(t, render(t, "--set", "registry.pullSecrets=false")) {
		if strings.HasPrefix(key, "secrets") || strings.Contains(key, "webhookconfigurations") && !slices.Equal(verbs, []string{"get"}) {
			t.Errorf("the webhook may %v %s", verbs, key)
		}
	}
}

func TestSecretsOfOthersAreReadOnlyToLookUpImages(t *testing.T) {
	if diff := cmp.Diff([]string{"get"}, may(t, render(t))["secrets"]); diff != "" {
		t.Errorf("by default (-want +have):\n%s", diff)
	}
	if verbs, some := may(t, render(t, "--set", "registry.lookup=false"))["secrets"]; some {
		t.Errorf("without lookups the webhook may %v secrets", verbs)
	}
}

func TestCertificateOfOurOwnNeedsOneSecret(t *testing.T) {
	all := render(t, "--set", selfSigned)
	spec, c := container(t, all)
	if slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Secret != nil }) {
		t.Errorf("volumes: %+v", spec.Volumes)
	}
	if !slices.Contains(c.Args, "--secret=shop-cert") {
		t.Errorf("args: %v", c.Args)
	}
	if a := as[admissionregistrationv1.MutatingWebhookConfiguration](t, all, configuration).Annotations; len(a) > 0 {
		t.Errorf("annotations: %v", a)
	}
	allowed := may(t, all)
	if diff := cmp.Diff([]string{"update"}, allowed["secrets shop-cert"]); diff != "" {
		t.Errorf("writing the secret (-want +have):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"get", "update"}, allowed["mutatingwebhookconfigurations shop"]); diff != "" {
		t.Errorf("writing the authority (-want +have):\n%s", diff)
	}
}

// may returns the permissions of the webhook's service account: verbs by resource and, for
// a rule that is limited to one object, by name.
func may(t *testing.T, all objects) map[string][]string {
	t.Helper()
	rules := append(as[rbacv1.ClusterRole](t, all, "ClusterRole shop-webhook").Rules, as[rbacv1.Role](t, all, "Role shop-webhook").Rules...)
	allowed := map[string][]string{}
	for _, r := range rules {
		for _, resource := range r.Resources {
			key := strings.TrimSpace(resource + " " + strings.Join(r.ResourceNames, ","))
			allowed[key] = append(allowed[key], r.Verbs...)
		}
	}
	return allowed
}

func TestNothingIsAllowedWithAWildcard(t *testing.T) {
	for key, verbs := range may(t, render(t, "--set", selfSigned)) {
		if strings.Contains(key, "*") || slices.Contains(verbs, "*") {
			t.Errorf("%s: %v", key, verbs)
		}
	}
}

func TestWebhookIsAskedOnlyAboutWhatIsOurs(t *testing.T) {
	hooks := as[admissionregistrationv1.MutatingWebhookConfiguration](t,
		render(t, "--set", "webhook.excludedNamespaces={istio-system,platform}"), configuration).Webhooks
	if len(hooks) != 1 || hooks[0].Name != "pods.koordinator.io" {
		t.Fatalf("webhooks: %+v", hooks)
	}
	h := hooks[0]
	if *h.FailurePolicy != admissionregistrationv1.Fail || *h.TimeoutSeconds != 10 || *h.SideEffects != admissionregistrationv1.SideEffectClassNone ||
		*h.ReinvocationPolicy != admissionregistrationv1.IfNeededReinvocationPolicy || len(h.MatchConditions) != 2 {
		t.Errorf("webhook: %+v", h)
	}
	excluded := h.NamespaceSelector.MatchExpressions[1].Values
	if want := []string{"kube-system", "kube-node-lease", "platform", "istio-system"}; !slices.Equal(excluded, want) {
		t.Errorf("excluded namespaces %v, want %v", excluded, want)
	}
	s := h.ClientConfig.Service
	service := as[corev1.Service](t, render(t), "Service shop")
	if s.Name != service.Name || s.Namespace != service.Namespace || *s.Port != service.Spec.Ports[0].Port {
		t.Errorf("called at %+v, the service is %+v", s, service.Spec)
	}
}

// The label koordinator.io/injection enables nothing if the operator selects namespaces by
// other labels, so no message may propose it.
func TestMessagesProposeTheLabelsThatEnable(t *testing.T) {
	for args, want := range map[string]string{
		"webhook.drainSeconds=10":                          "kubectl label namespace",
		"webhook.namespaceSelector.matchLabels.tier=batch": "add labels to the namespace that match tier=batch",
	} {
		stdout, complaint := helmSays(t, "--set", args)
		if complaint != "" && stdout == "" {
			t.Fatal(complaint)
		}
		if !strings.Contains(stdout, want) {
			t.Errorf("%s: no %q", args, want)
		}
		if strings.Contains(want, "tier") && strings.Contains(stdout, "injection=enabled") {
			t.Errorf("%s: a message proposes koordinator.io/injection=enabled", args)
		}
	}
}
