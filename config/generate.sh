#!/bin/sh
# Generates the parts of config/ from the chart's templates, for users of kustomize.
#
# HELM       the helm program
# NAMESPACE  namespace of the installation; change it in config/default/namespace.yaml, too
# VALUES     file of values for the chart
set -eu
cd "$(dirname "$0")"

rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
${HELM:-helm} template koordinator ../charts/koordinator --namespace "${NAMESPACE:-koordinator-io}" \
	${VALUES:+--values "$VALUES"} --output-dir "$rendered" >"$rendered/log"

# part FILE TEMPLATE…: writes the output of the templates to a file, without the parts
# that only Helm needs. A template without output has no file.
part() {
	file=$1
	shift
	{
		echo "# Made from charts/koordinator by config/generate.sh: edit it there."
		for template in "$@"; do
			made=$rendered/koordinator/templates/$template.yaml
			test ! -e "$made" || cat "$made"
		done | sed -e '/^# Source: /d' -e '/^  annotations:$/{N;/helm.sh\/resource-policy/d;}' \
			-e 's/app.kubernetes.io\/managed-by: Helm/app.kubernetes.io\/managed-by: kustomize/'
	} >"$file"
}

part manager/manager.yaml serviceaccount secret lease configmap deployment poddisruptionbudget service
part rbac/rbac.yaml rbac
part webhook/webhook.yaml webhook
part webhook/workloads.yaml workloads
part webhook/policies.yaml policies
part webhook/misplaced.yaml misplaced
part certmanager/certmanager.yaml certificates
