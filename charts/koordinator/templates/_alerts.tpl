{{/* The labels of an aggregation, with those that identify the cluster: list $ LABEL … An empty label is left out. */}}
{{- define "koordinator.byLabels" -}}
{{- join ", " (compact (concat (rest .) ((first .).Values.metrics.prometheusRule.aggregateBy | default list))) }}
{{- end }}

{{/* The clause "by" of an aggregation: list $ LABEL … */}}
{{- define "koordinator.by" -}}
{{- with include "koordinator.byLabels" . }} by ({{ . }}){{ end }}
{{- end }}
