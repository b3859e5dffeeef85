{{/* The name of everything this release makes, but of what the wrapper and the code know by name. A Service's name begins with a letter and has no dots, unlike a release's. */}}
{{- define "koordinator.name" -}}
{{- $name := .Release.Name | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $name }}{{ $name = print "k" $name }}{{ end -}}
{{ $name | trunc 53 | trimSuffix "-" }}
{{- end }}

{{/* An image's name, of its parts and the chart's version of the program. */}}
{{- define "koordinator.image" -}}
{{- with .image.registry }}{{ . }}/{{ end }}{{ .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .chart.AppVersion }}{{ end }}
{{- end }}

{{- define "koordinator.selector" -}}
app.kubernetes.io/name: koordinator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: webhook
{{- end }}

{{- define "koordinator.labels" -}}
{{ include "koordinator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The secret with the webhook's certificate. Each way to make it has its own: they would not leave each other's alone. */}}
{{- define "koordinator.secret" -}}
{{ include "koordinator.name" . }}-{{ eq .Values.certificates "cert-manager" | ternary "tls" "cert" }}
{{- end }}

{{/* The lease, for the same reason: only a leader that makes certificates can help the others to start. */}}
{{- define "koordinator.lease" -}}
{{ include "koordinator.name" . }}-{{ .Values.certificates }}
{{- end }}

{{/* What has cert-manager put its authority into a webhook configuration. */}}
{{- define "koordinator.inject" -}}
{{- if eq .Values.certificates "cert-manager" -}}
cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "koordinator.name" . }}
{{- end }}
{{- end }}

{{/* The name of the ValidatingWebhookConfiguration, where there is one. */}}
{{- define "koordinator.validating" -}}
{{- if (.Values.workloads).validate }}{{ include "koordinator.name" . }}{{ end }}
{{- end }}
