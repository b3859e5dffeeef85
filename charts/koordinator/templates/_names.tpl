{{/* The name of all objects of this release, except those with a fixed name in the wrapper or the webhook. A Service's name begins with a letter and has no dots, unlike a release's. */}}
{{- define "koordinator.name" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name -}}
{{- if and .Values.nameOverride (not .Values.fullnameOverride) (not (contains .Values.nameOverride .Release.Name)) }}{{ $name = print .Release.Name "-" .Values.nameOverride }}{{ end -}}
{{- $name = replace "." "-" $name -}}
{{- if regexMatch "^[0-9]" $name }}{{ $name = print "k" $name }}{{ end -}}
{{ $name | trunc 53 | trimSuffix "-" }}
{{- end }}

{{/* The namespace of all namespaced objects. */}}
{{- define "koordinator.namespace" -}}
{{ .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{/* The name of the webhook's service account. */}}
{{- define "koordinator.account" -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}{{ fail "serviceAccount.name is empty: with serviceAccount.create false, name the service account that the webhook uses" }}{{ end -}}
{{ .Values.serviceAccount.name | default (include "koordinator.name" .) }}
{{- end }}

{{/* The reference of one of the images, "webhook" or "wrapper": dict "root" $ "of" "webhook". */}}
{{- define "koordinator.image" -}}
{{- $image := get .root.Values.image .of -}}
{{- with .root.Values.global.imageRegistry | default $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The pull secrets of the webhook's image: the chart's and the parent chart's, each once. */}}
{{- define "koordinator.pullSecrets" -}}
{{- $names := list -}}
{{- range concat (.Values.imagePullSecrets | default list) (.Values.global.imagePullSecrets | default list) }}
{{- $names = append $names (kindIs "string" . | ternary . (get (kindIs "map" . | ternary . dict) "name")) }}
{{- end }}
{{- range uniq $names }}
- name: {{ . }}
{{- end }}
{{- end }}

{{- define "koordinator.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default "koordinator" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: webhook
{{- end }}

{{- define "koordinator.labels" -}}
{{ include "koordinator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The secret with the webhook's certificate. Each source of certificates has its own secret, because it would overwrite the other one's. */}}
{{- define "koordinator.secret" -}}
{{ include "koordinator.name" . }}-{{ eq .Values.certificates "cert-manager" | ternary "tls" "cert" }}
{{- end }}

{{/* The lease. Each source of certificates has its own, too: with self-signed certificates, the other replicas can start only after the leader has created one. */}}
{{- define "koordinator.lease" -}}
{{ include "koordinator.name" . }}-{{ .Values.certificates }}
{{- end }}

{{/* The metadata of a webhook configuration, with the annotation that makes cert-manager add its CA: dict "root" $ "more" (the value with its annotations and labels). */}}
{{- define "koordinator.configuration" -}}
name: {{ include "koordinator.name" .root }}
labels:
  {{- include "koordinator.labels" .root | nindent 2 }}
  {{- with .more.labels }}{{ toYaml . | nindent 2 }}{{ end }}
{{- $annotations := .more.annotations | default dict }}
{{- if eq .root.Values.certificates "cert-manager" }}
{{- $annotations = merge (dict "cert-manager.io/inject-ca-from" (print (include "koordinator.namespace" .root) "/" (include "koordinator.name" .root))) $annotations }}
{{- end }}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The name of the ValidatingWebhookConfiguration, if there is one. */}}
{{- define "koordinator.validating" -}}
{{- if (.Values.workloads).validate }}{{ include "koordinator.name" . }}{{ end }}
{{- end }}
