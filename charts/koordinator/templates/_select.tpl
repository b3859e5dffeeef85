{{/* Namespaces that are never touched. */}}
{{- define "koordinator.excluded" -}}
{{ concat (list "kube-system" "kube-node-lease" .Release.Namespace) (.Values.webhook.excludedNamespaces | default list) | uniq | toYaml }}
{{- end }}

{{/* Selects the namespaces that have opted in. */}}
{{- define "koordinator.enabled" -}}
matchExpressions:
  - key: koordinator.io/injection
    operator: In
    values: [enabled]
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: {{- include "koordinator.excluded" . | nindent 6 }}
{{- end }}

{{/* Selects the namespaces that have not. */}}
{{- define "koordinator.unlabelled" -}}
matchExpressions:
  - key: koordinator.io/injection
    operator: NotIn
    values: [enabled]
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: {{- include "koordinator.excluded" . | nindent 6 }}
{{- end }}

{{/* Rules for the workloads that have their pod template at spec.template. */}}
{{- define "koordinator.workloads" -}}
- apiGroups: [apps]
  apiVersions: [v1]
  resources: [daemonsets, deployments, replicasets, statefulsets]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [batch]
  apiVersions: [v1]
  resources: [jobs]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [""]
  apiVersions: [v1]
  resources: [replicationcontrollers]
  operations: [CREATE, UPDATE]
  scope: Namespaced
{{- end }}

{{/* Rules for CronJobs, which have it deeper. */}}
{{- define "koordinator.cronjobs" -}}
- apiGroups: [batch]
  apiVersions: [v1]
  resources: [cronjobs]
  operations: [CREATE, UPDATE]
  scope: Namespaced
{{- end }}

{{/* Rules for new pods. */}}
{{- define "koordinator.pods" -}}
- apiGroups: [""]
  apiVersions: [v1]
  resources: [pods]
  operations: [CREATE]
  scope: Namespaced
{{- end }}
