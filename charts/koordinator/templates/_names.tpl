{{/* The name of everything this release makes, but of what the wrapper and the code know by name. */}}
{{- define "koordinator.name" -}}
{{ .Release.Name | trunc 53 | trimSuffix "-" }}
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
