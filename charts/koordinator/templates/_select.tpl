{{/* The excluded namespaces. */}}
{{- define "koordinator.excluded" -}}
{{ concat (list "kube-system" "kube-node-lease" (include "koordinator.namespace" .)) (.Values.webhook.excludedNamespaces | default list) | uniq | toYaml }}
{{- end }}

{{/* The part of a namespace selector that excludes them. */}}
{{- define "koordinator.notExcluded" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: {{- include "koordinator.excluded" . | nindent 4 }}
{{- end }}

{{/* Selects the enabled namespaces. */}}
{{- define "koordinator.enabled" -}}
{{- with (.Values.webhook.namespaceSelector).matchLabels }}
matchLabels: {{- toYaml . | nindent 2 }}
{{- end }}
matchExpressions:
{{- if not .Values.webhook.namespaceSelector }}
  - key: koordinator.io/injection
    operator: In
    values: [enabled]
{{- end }}
{{- with (.Values.webhook.namespaceSelector).matchExpressions }}
  {{- toYaml . | nindent 2 }}
{{- end }}
  {{- include "koordinator.notExcluded" . | nindent 2 }}
{{- end }}

{{/* Selects the namespaces in which pods may enable koordinator for themselves. If webhook.namespaceSelector is set, it also selects enabled namespaces, because a selector cannot be negated. */}}
{{- define "koordinator.optIn" -}}
matchExpressions:
  - key: koordinator.io/injection
    operator: NotIn
    values: [{{ if not .Values.webhook.namespaceSelector }}enabled, {{ end }}disabled]
  {{- include "koordinator.notExcluded" . | nindent 2 }}
{{- end }}

{{/* Selects the namespaces that are possibly not enabled. If webhook.namespaceSelector is set, koordinator.read decides. */}}
{{- define "koordinator.unlabelled" -}}
matchExpressions:
{{- if not .Values.webhook.namespaceSelector }}
  - key: koordinator.io/injection
    operator: NotIn
    values: [enabled]
{{- end }}
  {{- include "koordinator.notExcluded" . | nindent 2 }}
{{- end }}

{{/* Selects pods: dict "root" $ "optIn" true for those that enable koordinator for themselves. Empty: all. */}}
{{- define "koordinator.objects" -}}
{{- $expressions := (.root.Values.webhook.objectSelector).matchExpressions | default list -}}
{{- if .optIn }}{{ $expressions = append $expressions (dict "key" "koordinator.io/injection" "operator" "In" "values" (list "enabled")) }}{{ end -}}
{{- with (.root.Values.webhook.objectSelector).matchLabels }}
matchLabels: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $expressions }}
matchExpressions: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A CEL expression that is true if a selector (YAML) selects labels (CEL): dict "selector" "…" "labels" "…". */}}
{{- define "koordinator.selects" -}}
{{- $selector := fromYaml .selector -}}
{{- $labels := .labels -}}
{{- $terms := list -}}
{{- range $key, $value := $selector.matchLabels | default dict }}
{{- $terms = append $terms (printf "%s[?%q] == optional.of(%q)" $labels $key $value) }}
{{- end }}
{{- range $selector.matchExpressions }}
{{- $has := printf "%q in %s" .key $labels }}
{{- $among := printf "(%s && %s[%q] in %s)" $has $labels .key (toJson .values) }}
{{- $terms = append $terms (get (dict "In" $among "NotIn" (print "!" $among) "Exists" $has "DoesNotExist" (printf "!(%s)" $has)) .operator) }}
{{- end }}
{{- join " && " $terms | default "true" }}
{{- end }}

{{/* A selector (YAML) as a text for the webhook's flags. */}}
{{- define "koordinator.selectorText" -}}
{{- $selector := fromYaml . -}}
{{- $terms := list -}}
{{- range $key, $value := $selector.matchLabels | default dict }}
{{- $terms = append $terms (printf "%s=%s" $key $value) }}
{{- end }}
{{- range $selector.matchExpressions }}
{{- $values := join "," (.values | default list) }}
{{- $terms = append $terms (get (dict "In" (printf "%s in (%s)" .key $values) "NotIn" (printf "%s notin (%s)" .key $values) "Exists" .key "DoesNotExist" (print "!" .key)) .operator) }}
{{- end }}
{{- join "," $terms }}
{{- end }}

{{/* How to enable a namespace, as a CEL string that begins with a phrase: list $ "To enable it" "request.namespace". */}}
{{- define "koordinator.enableText" -}}
{{- with (first .).Values.webhook.namespaceSelector -}}
'{{ index $ 1 }}, add labels to the namespace that match {{ include "koordinator.selectorText" (toYaml .) }}'
{{- else -}}
'{{ index . 1 }}: kubectl label namespace ' + {{ index . 2 }} + ' koordinator.io/injection=enabled'
{{- end }}
{{- end }}

{{/* A CEL expression that is true if koordinator reads the annotations of a pod or template in a namespace of koordinator.unlabelled; empty if it never does: dict "root" $ "labels" (CEL, those of the pod or template). */}}
{{- define "koordinator.read" -}}
{{- $of := "namespaceObject.metadata.?labels.orValue({})" -}}
{{- $terms := list -}}
{{- if .root.Values.webhook.namespaceSelector }}{{ $terms = append $terms (include "koordinator.selects" (dict "selector" (include "koordinator.enabled" .root) "labels" $of)) }}{{ end -}}
{{- if .root.Values.podOptIn.enabled }}{{ $terms = append $terms (printf "%s[?%q].orValue(\"\") == \"enabled\" && %s[?%q].orValue(\"\") != \"disabled\"" .labels "koordinator.io/injection" $of "koordinator.io/injection") }}{{ end -}}
{{ join " || " $terms }}
{{- end }}

{{/* Rules for workloads whose pod template is at spec.template. */}}
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

{{/* Rules for CronJobs, whose pod template is nested deeper. */}}
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

{{/* The API server never calls the webhook for pods without a koordinator annotation and without the label of the essential-containers controller, and for pods with inject: "false", which are therefore also created while the webhook is unavailable. */}}
{{- define "koordinator.concerned" -}}
- name: concerned
  expression: >-
    has(object.metadata.annotations) &&
    object.metadata.annotations.exists(key, key.startsWith("koordinator.io/")) ||
    has(object.metadata.labels) && "essential-containers" in object.metadata.labels
- name: not-disabled
  expression: object.metadata.?annotations[?"koordinator.io/inject"].orValue("").trim() != "false"
{{- end }}
