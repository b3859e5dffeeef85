#!/bin/sh
# Writes the parts of config/ from the chart's templates, for users of kustomize.
# HELM names the helm program.
set -eu
cd "$(dirname "$0")"

namespace=koordinator-system

# part FILE TEMPLATE…: the templates' output with what only Helm needs left out.
part() {
	file=$1
	shift
	{
		echo "# Made from charts/koordinator by config/generate.sh: edit it there."
		for template in "$@"; do
			${HELM:-helm} template koordinator ../charts/koordinator --namespace $namespace --show-only "templates/$template.yaml"
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
