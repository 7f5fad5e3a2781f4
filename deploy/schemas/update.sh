#!/usr/bin/env bash
# Makes the JSON schemas of this directory anew: of the kinds that the manifests use, from the API description that comes with each
# Kubernetes release, and from the CRDs of the Prometheus operator. Both come as Go modules, checked against Go's checksum
# database. deploy/check.sh reads the result and downloads nothing.
#
#   deploy/schemas/update.sh
#
# To check another release: change the versions here, run it, and change nothing else.
set -euo pipefail
cd "$(dirname "$0")"
. ../tools.sh

# The oldest that is supported (with the component older-kubernetes), the oldest without it, the newest.
kubernetes=(v1.27.16 v1.30.14 v1.36.3)
operator=v0.85.0

go="$(find_go)"
module() { (cd / && "$go" mod download -json "$1") | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])'; }

rm -rf ./v[0-9]* ./monitoring.coreos.com
for version in "${kubernetes[@]}"; do
  "$(find_python)" -B standalone.py kubernetes "$(module "k8s.io/kubernetes@$version")/api/openapi-spec/swagger.json" "$version"
done
crds="$(module "github.com/prometheus-operator/prometheus-operator@$operator")/example/prometheus-operator-crd"
"$(find_python)" -B standalone.py crd "$crds/monitoring.coreos.com_servicemonitors.yaml" monitoring.coreos.com
"$(find_python)" -B standalone.py crd "$crds/monitoring.coreos.com_prometheusrules.yaml" monitoring.coreos.com
du -sh -- */
