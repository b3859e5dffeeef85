{{/* Fails for a rule that the webhook would reject, as far as a template can see. */}}
{{- define "koordinator.checkRules" -}}
{{- $known := list "command" "env-file" "essential" "exit-http" "gate" "inject" "killed-exit-code" "log-level" "mode" "on-start-timeout" "ready-when" "restart-with" "source" "spec" "start-deps" "start-timeout" "stop-delay" "stop-deps" "stop-http" "stop-signal" "stop-timeout" "stop-when" "stopped-exit-code" }}
{{- $names := list }}
{{- range .Values.rules }}
  {{- $rule := printf "rules: rule %q" .name }}
  {{- if has .name $names }}
    {{- fail (printf "%s occurs twice. Rename one of them" $rule) }}
  {{- end }}
  {{- $names = append $names .name }}
  {{- if not (or .namespaces .namespaceSelector .podSelector .containers .ownerKinds) }}
    {{- fail (printf "%s selects every pod. Set namespaces, namespaceSelector, podSelector, containers or ownerKinds" $rule) }}
  {{- end }}
  {{- range $key, $value := .annotations }}
    {{- if not (has (trimPrefix "koordinator.io/" $key) $known) }}
      {{- fail (printf "%s: annotation %q is unknown. Use one of: koordinator.io/%s" $rule $key (join ", koordinator.io/" $known)) }}
    {{- end }}
    {{- $parsed := fromYaml (printf "value:\n%s" ($value | indent 2)) }}
    {{- if hasKey $parsed "Error" }}
      {{- fail (printf "%s: annotation %q is not valid YAML: %s" $rule $key $parsed.Error) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The part of a rule that the webhook needs. The API server evaluates the rest. */}}
{{- define "koordinator.rulesFile" -}}
{{- $rules := list }}
{{- range .Values.rules }}
{{- $rules = append $rules (dict "name" .name "failurePolicy" (.failurePolicy | default "Ignore") "annotations" .annotations) }}
{{- end }}
{{- toYaml $rules }}
{{- end }}

{{/* The expressions of a label selector, its matchLabels included, as {"all": […]}. */}}
{{- define "koordinator.expressions" -}}
{{- $all := .matchExpressions | default list }}
{{- range $key, $value := .matchLabels }}
{{- $all = append $all (dict "key" $key "operator" "In" "values" (list $value)) }}
{{- end }}
{{- toYaml (dict "all" $all) }}
{{- end }}

{{/* Selects the namespaces of a rule among the enabled ones: dict "root" $ "rule" .  */}}
{{- define "koordinator.ruleNamespaces" -}}
{{- $enabled := include "koordinator.enabled" .root | fromYaml }}
{{- $expressions := concat (include "koordinator.expressions" $enabled | fromYaml).all (include "koordinator.expressions" (.rule.namespaceSelector | default dict) | fromYaml).all }}
{{- with .rule.namespaces }}
{{- $expressions = append $expressions (dict "key" "kubernetes.io/metadata.name" "operator" "In" "values" .) }}
{{- end -}}
matchExpressions: {{- toYaml $expressions | nindent 2 }}
{{- end }}

{{/* Selects the pods of a rule among those that webhook.objectSelector selects: dict "root" $ "rule" . Empty: all. */}}
{{- define "koordinator.ruleObjects" -}}
{{- $expressions := concat (include "koordinator.expressions" .root.Values.webhook.objectSelector | fromYaml).all (include "koordinator.expressions" (.rule.podSelector | default dict) | fromYaml).all }}
{{- with $expressions -}}
matchExpressions: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The conditions of a rule that selectors cannot express, in CEL. */}}
{{- define "koordinator.ruleConditions" -}}
- name: not-left-alone
  expression: >-
    object.metadata.?annotations[?"koordinator.io/inject"].orValue("").trim() != "false" &&
    !object.metadata.?annotations[?"kubernetes.io/config.mirror"].hasValue()
{{- with .containers }}
- name: containers
  expression: >-
    {{ toJson . }}.all(name,
    object.spec.containers.exists(c, c.name == name) ||
    object.spec.?initContainers.orValue([]).exists(c, c.name == name))
{{- end }}
{{- with .ownerKinds }}
- name: owner-kinds
  expression: >-
    object.metadata.?ownerReferences.orValue([]).exists(owner, owner.?controller.orValue(false) &&
    (owner.kind in {{ toJson . }} || owner.kind + "." + owner.apiVersion.split("/")[0] in {{ toJson . }}))
{{- end }}
{{- end }}
