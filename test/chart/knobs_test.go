package chart

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// everything is the values file that sets nearly every value to another than its default.
const everything = source + "/ci/everything-values.yaml"

func TestNames(t *testing.T) {
	for _, tt := range []struct{ name, set, object, label string }{
		{"the release's", "replicas=2", "shop", "koordinator"},
		{"nameOverride", "nameOverride=order", "shop-order", "order"},
		{"nameOverride that the release has in its name", "nameOverride=sho", "shop", "sho"},
		{"fullnameOverride", "fullnameOverride=order", "order", "koordinator"},
		{"both", "fullnameOverride=order,nameOverride=sequence", "order", "sequence"},
		{"a name that no Service may have", "fullnameOverride=1.order", "k1-order", "koordinator"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := render(t, "--set", tt.set, "--set", selfSigned)
			d := as[appsv1.Deployment](t, all, "Deployment "+tt.object)
			if have := d.Spec.Selector.MatchLabels["app.kubernetes.io/name"]; have != tt.label {
				t.Errorf("label %q, want %q", have, tt.label)
			}
			if diff := cmp.Diff(d.Spec.Selector.MatchLabels, as[corev1.Service](t, all, "Service "+tt.object).Spec.Selector); diff != "" {
				t.Errorf("the Service selects other pods:\n%s", diff)
			}
			args := d.Spec.Template.Spec.Containers[0].Args
			for _, arg := range []string{"--service=" + tt.object, "--configuration=" + tt.object, "--secret=" + tt.object + "-cert"} {
				if !slices.Contains(args, arg) {
					t.Errorf("no %s in %v", arg, args)
				}
			}
		})
	}
}

func TestNamespaceOverrideReachesEverything(t *testing.T) {
	for key, object := range render(t, "--set", "namespaceOverride=elsewhere,networkPolicy.enabled=true,metrics.serviceMonitor.enabled=true,registry.caBundle=x") {
		if ns := object.GetNamespace(); ns != "" && ns != "elsewhere" {
			t.Errorf("%s is in namespace %s", key, ns)
		}
		text, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "platform") {
			t.Errorf("%s names the release's namespace", key)
		}
	}
}

func TestCommonLabelsAreOnEverything(t *testing.T) {
	for key, object := range render(t, "--set", "commonLabels.team=a,networkPolicy.enabled=true,metrics.serviceMonitor.enabled=true,autoscaling.enabled=true") {
		if object.GetLabels()["team"] != "a" {
			t.Errorf("%s has no label of commonLabels", key)
		}
	}
	d := as[appsv1.Deployment](t, render(t, "--set", "commonLabels.team=a"), deployment)
	if d.Spec.Template.Labels["team"] != "a" || d.Spec.Selector.MatchLabels["team"] != "" {
		t.Errorf("pods have %v, and are selected by %v", d.Spec.Template.Labels, d.Spec.Selector.MatchLabels)
	}
}

func TestServiceAccount(t *testing.T) {
	all := render(t, "--set", `serviceAccount.name=reader,serviceAccount.annotations.role=a,serviceAccount.labels.use=b`)
	account := as[corev1.ServiceAccount](t, all, "ServiceAccount reader")
	if account.Annotations["role"] != "a" || account.Labels["use"] != "b" {
		t.Errorf("service account %+v", account.ObjectMeta)
	}
	theirs := render(t, "--set", "serviceAccount.create=false,serviceAccount.name=reader")
	if _, made := theirs["ServiceAccount reader"]; made {
		t.Error("a service account is created")
	}
	for name, all := range map[string]objects{"created": all, "of the operator": theirs} {
		spec, _ := container(t, all)
		check := as[corev1.Pod](t, all, "Pod shop-check").Spec.ServiceAccountName
		to := as[rbacv1.ClusterRoleBinding](t, all, "ClusterRoleBinding shop-webhook").Subjects[0].Name
		within := as[rbacv1.RoleBinding](t, all, "RoleBinding shop-webhook").Subjects[0].Name
		if spec.ServiceAccountName != "reader" || check != "reader" || to != "reader" || within != "reader" {
			t.Errorf("%s: pods use %s and %s, roles are bound to %s and %s", name, spec.ServiceAccountName, check, to, within)
		}
		limit := as[admissionregistrationv1.ValidatingAdmissionPolicy](t, all, "ValidatingAdmissionPolicy shop-limit-grants")
		if have := limit.Spec.MatchConditions[0].Expression; !strings.Contains(have, "system:serviceaccount:platform:reader") {
			t.Errorf("%s: the policy limits %s", name, have)
		}
	}
	if _, complaint := helmSays(t, "--set", "serviceAccount.create=false"); !strings.Contains(complaint, "serviceAccount.name is empty") {
		t.Errorf("without a name: %q", complaint)
	}
}

// TestThePodAsOperatorsWantIt covers security contexts, network, ports and probes.
func TestThePodAsOperatorsWantIt(t *testing.T) {
	all := render(t, "--values", everything)
	spec, c := container(t, objects{deployment: all["Deployment ordering"]})
	if !spec.HostNetwork || spec.DNSPolicy != corev1.DNSNone || spec.DNSConfig.Nameservers[0] != "192.0.2.53" || spec.HostAliases[0].IP != "192.0.2.7" {
		t.Errorf("network: %+v", spec)
	}
	if *spec.SecurityContext.RunAsUser != 1000 || *c.SecurityContext.ReadOnlyRootFilesystem || c.SecurityContext.Capabilities.Drop[0] != "NET_RAW" {
		t.Errorf("security contexts: %+v, %+v", spec.SecurityContext, c.SecurityContext)
	}
	ports := map[string]int32{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	if diff := cmp.Diff(map[string]int32{"webhook": 10250, "metrics": 18080, "health": 18081}, ports); diff != "" {
		t.Errorf("ports (-want +have):\n%s", diff)
	}
	for _, arg := range []string{
		"--port=10250", "--health-address=:18081", "--metrics-address=:18080", "--lease-duration=60s", "--lease-renew-deadline=40s", "--lease-retry-period=5s",
	} {
		if !slices.Contains(c.Args, arg) {
			t.Errorf("no %s in %v", arg, c.Args)
		}
	}
	if c.StartupProbe.FailureThreshold != 90 || c.LivenessProbe.TimeoutSeconds != 15 || c.ReadinessProbe.PeriodSeconds != 5 {
		t.Errorf("probes: %+v, %+v, %+v", c.StartupProbe, c.LivenessProbe, c.ReadinessProbe)
	}
	if p := as[corev1.Service](t, all, "Service ordering").Spec; p.Ports[1].Port != 18080 || p.Type != corev1.ServiceTypeLoadBalancer || *p.IPFamilyPolicy != corev1.IPFamilyPolicyPreferDualStack {
		t.Errorf("service: %+v", p)
	}
	if diff := cmp.Diff(map[string]string{"kubernetes.io/arch": "amd64"}, spec.NodeSelector); diff != "" {
		t.Errorf("node selector (-want +have):\n%s", diff)
	}
	if pod, _ := container(t, render(t, "--set", "hostNetwork=true")); pod.DNSPolicy != corev1.DNSClusterFirstWithHostNet {
		t.Errorf("in the node's network with DNS policy %q, cluster names do not resolve", pod.DNSPolicy)
	}
}

func TestRolloutAndScale(t *testing.T) {
	all := render(t, "--values", everything)
	d := as[appsv1.Deployment](t, all, "Deployment ordering")
	if d.Spec.Replicas != nil {
		t.Errorf("%d replicas, beside an autoscaler", *d.Spec.Replicas)
	}
	if *d.Spec.RevisionHistoryLimit != 3 || d.Spec.MinReadySeconds != 5 || d.Spec.Strategy.RollingUpdate.MaxSurge.IntValue() != 0 || d.Annotations["reloader.stakater.com/auto"] != "true" {
		t.Errorf("deployment: %+v", d.Spec)
	}
	hpa := as[autoscalingv2.HorizontalPodAutoscaler](t, all, "HorizontalPodAutoscaler ordering").Spec
	if hpa.ScaleTargetRef.Name != d.Name || *hpa.MinReplicas != 3 || hpa.MaxReplicas != 9 || len(hpa.Metrics) != 2 || *hpa.Behavior.ScaleDown.StabilizationWindowSeconds != 600 {
		t.Errorf("autoscaler: %+v", hpa)
	}
	if pdb := as[policyv1.PodDisruptionBudget](t, all, "PodDisruptionBudget ordering").Spec; pdb.MinAvailable.IntValue() != 2 || pdb.MaxUnavailable != nil {
		t.Errorf("disruption budget: %+v", pdb)
	}
	single := render(t, "--set", "autoscaling.enabled=true,autoscaling.minReplicas=1")
	if _, made := single["PodDisruptionBudget shop"]; made {
		t.Error("a disruption budget for a single replica, whose node could never be drained")
	}
	for set, want := range map[string]string{
		"autoscaling.enabled=true,autoscaling.targetCPUUtilizationPercentage=null":     "autoscaling has no target",
		"autoscaling.enabled=true,autoscaling.minReplicas=3,autoscaling.maxReplicas=2": "autoscaling.minReplicas 3 is more than",
	} {
		if _, complaint := helmSays(t, "--set", set); !strings.Contains(complaint, want) {
			t.Errorf("%s: %q", set, complaint)
		}
	}
}

func TestAnnotationsAndLabelsOfTheConfigurations(t *testing.T) {
	all := render(t, "--set", "webhook.annotations.a=1,webhook.labels.b=2,workloads.annotations.c=3,workloads.labels.d=4", "--set-string", "webhook.annotations.a=1,webhook.labels.b=2,workloads.annotations.c=3,workloads.labels.d=4")
	m := as[admissionregistrationv1.MutatingWebhookConfiguration](t, all, configuration)
	v := as[admissionregistrationv1.ValidatingWebhookConfiguration](t, all, "ValidatingWebhookConfiguration shop")
	if m.Annotations["a"] != "1" || m.Labels["b"] != "2" || m.Annotations["cert-manager.io/inject-ca-from"] != "platform/shop" {
		t.Errorf("pods: %+v", m.ObjectMeta)
	}
	if v.Annotations["c"] != "3" || v.Labels["d"] != "4" || v.Annotations["cert-manager.io/inject-ca-from"] != "platform/shop" {
		t.Errorf("workloads: %+v", v.ObjectMeta)
	}
}

func TestFailurePoliciesOfEachEntry(t *testing.T) {
	all := render(t, "--set", "podOptIn.enabled=true,podOptIn.failurePolicy=Ignore,workloads.failurePolicy=Fail")
	have := map[string]admissionregistrationv1.FailurePolicyType{}
	for _, h := range as[admissionregistrationv1.MutatingWebhookConfiguration](t, all, configuration).Webhooks {
		have[h.Name] = *h.FailurePolicy
	}
	for _, h := range as[admissionregistrationv1.ValidatingWebhookConfiguration](t, all, "ValidatingWebhookConfiguration shop").Webhooks {
		have[h.Name] = *h.FailurePolicy
	}
	want := map[string]admissionregistrationv1.FailurePolicyType{
		"pods.koordinator.io": "Fail", "opted-in-pods.koordinator.io": "Ignore", "workloads.koordinator.io": "Fail", "opted-in-workloads.koordinator.io": "Fail",
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

// TestASelectorReachesWhatDependsOnIt covers the webhooks, the policies, and the flag that
// decides which pods get grants.
func TestASelectorReachesWhatDependsOnIt(t *testing.T) {
	all := render(t, "--values", everything, "--set", "workloads.validate=true,policies.refuseUninjected=true,policies.warnUnlabelled=true")
	excluded := metav1.LabelSelectorRequirement{
		Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"kube-system", "kube-node-lease", "default", "istio-system"},
	}
	want := &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "batch"}, MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "team", Operator: metav1.LabelSelectorOpIn, Values: []string{"a", "b"}}, {Key: "legacy", Operator: metav1.LabelSelectorOpDoesNotExist}, excluded,
	}}
	optIn := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "koordinator.io/injection", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"disabled"}}, excluded,
	}}
	pods := as[admissionregistrationv1.MutatingWebhookConfiguration](t, all, "MutatingWebhookConfiguration ordering").Webhooks
	pods = pods[len(pods)-2:] // the webhooks of rules come first
	workloads := as[admissionregistrationv1.ValidatingWebhookConfiguration](t, all, "ValidatingWebhookConfiguration ordering").Webhooks
	refuse := as[admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, all, "ValidatingAdmissionPolicyBinding ordering-refuse-uninjected").Spec.MatchResources
	refuseOptIn := as[admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, all, "ValidatingAdmissionPolicyBinding ordering-refuse-uninjected-opt-in").Spec.MatchResources
	for name, pair := range map[string][2]*metav1.LabelSelector{
		"pods": {want, pods[0].NamespaceSelector}, "workloads": {want, workloads[0].NamespaceSelector}, "refuse-uninjected": {want, refuse.NamespaceSelector},
		"pods that opt in": {optIn, pods[1].NamespaceSelector}, "workloads that opt in": {optIn, workloads[1].NamespaceSelector}, "refuse-uninjected of pods that opt in": {optIn, refuseOptIn.NamespaceSelector},
		"objects": {pods[0].ObjectSelector, refuse.ObjectSelector}, "objects that opt in": {pods[1].ObjectSelector, refuseOptIn.ObjectSelector},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s (-want +have):\n%s", name, diff)
		}
	}
	if n := len(pods[0].ObjectSelector.MatchExpressions); n != 2 || pods[0].ObjectSelector.MatchLabels["ordered"] != "true" || len(pods[1].ObjectSelector.MatchExpressions) != n+1 {
		t.Errorf("objects: %+v, and of those that opt in %+v", pods[0].ObjectSelector, pods[1].ObjectSelector)
	}
	_, c := container(t, objects{deployment: all["Deployment ordering"]})
	for _, arg := range []string{
		"--namespace-selector=tier=batch,team in (a,b),!legacy,kubernetes.io/metadata.name notin (kube-system,kube-node-lease,default,istio-system)",
		"--opt-in-namespace-selector=koordinator.io/injection notin (disabled),kubernetes.io/metadata.name notin (kube-system,kube-node-lease,default,istio-system)",
	} {
		if !slices.Contains(c.Args, arg) {
			t.Errorf("no %s in %v", arg, c.Args)
		}
	}
}

func TestPodsMayNotOptInByDefault(t *testing.T) {
	all := render(t)
	_, c := container(t, all)
	if slices.ContainsFunc(c.Args, func(a string) bool { return strings.HasPrefix(a, "--opt-in") }) {
		t.Errorf("args %v", c.Args)
	}
	if want := "--namespace-selector=koordinator.io/injection in (enabled),kubernetes.io/metadata.name notin (kube-system,kube-node-lease,platform)"; !slices.Contains(c.Args, want) {
		t.Errorf("no %s in %v", want, c.Args)
	}
}

func TestNetworkPolicyOfOutgoingConnections(t *testing.T) {
	policy := as[networkingv1.NetworkPolicy](t, render(t, "--values", everything), "NetworkPolicy ordering").Spec
	if !slices.Contains(policy.PolicyTypes, networkingv1.PolicyTypeEgress) || len(policy.Egress) != 2 || policy.Egress[0].Ports[1].Port.IntValue() != 6443 {
		t.Errorf("network policy: %+v", policy)
	}
	open := as[networkingv1.NetworkPolicy](t, render(t, "--set", "networkPolicy.enabled=true"), "NetworkPolicy shop").Spec
	if len(open.PolicyTypes) != 1 || len(open.Ingress) != 2 {
		t.Errorf("network policy: %+v", open)
	}
}

func TestMonitors(t *testing.T) {
	for kind, endpoints := range map[string]string{"ServiceMonitor": "endpoints", "PodMonitor": "podMetricsEndpoints"} {
		value := "metrics." + strings.ToLower(kind[:1]) + kind[1:]
		all := render(t, "--set", value+".enabled=true,"+value+".interval=15s,"+value+".scrapeTimeout=5s,"+value+".honorLabels=true,"+value+".annotations.a=b",
			"--set", value+".relabelings[0].targetLabel=node,"+value+".metricRelabelings[0].action=drop")
		monitor := all[kind+" shop"]
		endpoint := monitor.Object["spec"].(map[string]any)[endpoints].([]any)[0]
		want := map[string]any{
			"port": "metrics", "interval": "15s", "scrapeTimeout": "5s", "honorLabels": true,
			"relabelings": []any{map[string]any{"targetLabel": "node"}}, "metricRelabelings": []any{map[string]any{"action": "drop"}},
		}
		if diff := cmp.Diff(want, endpoint); diff != "" || monitor.GetAnnotations()["a"] != "b" {
			t.Errorf("%s (-want +have):\n%s", kind, diff)
		}
	}
	for set, want := range map[string]string{
		"metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true": "scrape each replica twice",
		"metrics.serviceMonitor.enabled=true,metrics.enabled=false":           "metrics.enabled is false",
	} {
		if _, complaint := helmSays(t, "--set", set); !strings.Contains(complaint, want) {
			t.Errorf("%s: %q", set, complaint)
		}
	}
	all := render(t, "--set", "metrics.enabled=false")
	if _, c := container(t, all); len(c.Ports) != 2 || !slices.Contains(c.Args, "--metrics-address=0") || len(as[corev1.Service](t, all, "Service shop").Spec.Ports) != 1 {
		t.Errorf("without metrics: ports %v, args %v", c.Ports, c.Args)
	}
}

func TestExtraObjects(t *testing.T) {
	all := render(t, "--values", everything)
	if data := as[corev1.ConfigMap](t, all, "ConfigMap extra").Data["release"]; data != "shop" {
		t.Errorf("an object with a template: %q", data)
	}
	if _, made := all["ConfigMap ordering-more"]; !made {
		t.Error("a text with a template is not made")
	}
}
