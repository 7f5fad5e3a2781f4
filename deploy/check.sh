#!/usr/bin/env bash
# Checks everything in this directory that Kubernetes, Prometheus and Grafana will read: `make deploy-check`.
#
#   deploy/check.sh [--keep DIRECTORY]     --keep: leave the renderings there
#
# Every overlay of kustomize, and the chart with every file of values in its ci/, is rendered and validated strictly against the
# Kubernetes API of each release in schemas/; the chart is linted, and compared with kustomize object by object; promtool reads
# the dashboards' queries and plays the alerts. Downloads nothing but the tools, once: see tools.sh.
set -euo pipefail
cd "$(dirname "$0")"
. ./tools.sh

work=""
case "${1:-}" in
  --keep) work="${2:?--keep needs a directory}"; mkdir -p "$work" ;;
  "") work="$(mktemp -d)"; trap 'rm -rf "$work"' EXIT ;;
  *) echo "usage: $0 [--keep DIRECTORY]" >&2; exit 2 ;;
esac

helm="$(find_tool helm)"
kustomize="$(find_tool kustomize)"
kubeconform="$(find_tool kubeconform)"
python="$(find_python)"
chart=helm/steadfast
# Ascending. Below 1.30 pods get no preStop hook: the component older-kubernetes, and the chart by itself.
mapfile -t versions < <(cd schemas && printf '%s\n' v[0-9]* | sort -V | tr -d v)
newest="${versions[-1]}"

old() { [ "$(printf '%s\n' 1.30.0 "$1" | sort -V | head -n 1)" != 1.30.0 ]; }

# What kustomize renders: each overlay, and the complete examples.
mkdir -p "$work/kustomize"
for directory in kubernetes/base kubernetes/overlays/* kubernetes/examples/*; do
  [ -f "$directory/kustomization.yaml" ] || continue
  "$kustomize" build "$directory" > "$work/kustomize/$(basename "$directory").yaml"
done
# Components that stand in no overlay together.
mkdir -p "$work/tls-full"
relative() { realpath --relative-to "$work/tls-full" "kubernetes/$1"; }
cat > "$work/tls-full/kustomization.yaml" <<EOF
namespace: kube-system
resources: [$(relative overlays/kube-system)]
components: [$(relative components/prometheus), $(relative components/grafana), $(relative components/tls)]
EOF
"$kustomize" build "$work/tls-full" > "$work/kustomize/kube-system-tls-full.yaml"
mkdir -p "$work/older" "$work/kustomize-older"
for overlay in kube-system kube-system-full; do
  cat > "$work/older/kustomization.yaml" <<EOF
resources: [$(realpath --relative-to "$work/older" "kubernetes/overlays/$overlay")]
components: [$(realpath --relative-to "$work/older" kubernetes/components/older-kubernetes)]
EOF
  "$kustomize" build "$work/older" > "$work/kustomize-older/$overlay.yaml"
done

# What the chart renders.
"$helm" lint --strict --quiet "$chart"
for version in "${versions[@]}"; do
  mkdir -p "$work/helm-$version"
  render() { "$helm" template steadfast "$chart" --namespace "$1" --kube-version "$version" "${@:3}" > "$work/helm-$version/$2.yaml"; }
  render kube-system default
  for values in "$chart"/ci/*.yaml; do
    name="$(basename "$values" .yaml)"
    namespace=kube-system
    [ "$name" != dev ] || namespace=steadfast-dev
    render "$namespace" "$name" --values "$values"
  done
done
for wrong in replica=3 replicas=many config.node.data_dir=/tmp founders=2 founders=5; do
  if "$helm" template "$chart" --set "$wrong" >/dev/null 2>&1; then
    echo "the chart accepts --set $wrong: it should not" >&2
    exit 1
  fi
done

# Each rendering against each release that it is for.
for version in "${versions[@]}"; do
  renderings=("$work/helm-$version"/*.yaml)
  if old "$version"; then
    renderings+=("$work/kustomize-older"/*.yaml)
  else
    renderings+=("$work/kustomize"/*.yaml)
  fi
  echo "Kubernetes $version:"
  "$kubeconform" -strict -summary -kubernetes-version "$version" \
    -schema-location 'schemas/{{.NormalizedKubernetesVersion}}/{{.ResourceKind}}{{.KindSuffix}}.json' \
    -schema-location 'schemas/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json' \
    "${renderings[@]}"
done

# What no schema sees.
"$python" -B check/references.py "$work"/helm-*/*.yaml "$work"/kustomize*/*.yaml

# The chart and kustomize are two ways to the same objects.
same() { "$python" -B check/compare.py "$work/helm-$newest/$1.yaml" "$work/kustomize/$2.yaml" "${@:3}"; }
echo "the chart's values, and the overlay:"
same default kube-system
same full kube-system-full
same tls kube-system-tls
same tls-full kube-system-tls-full
same dev dev --without Namespace

# Dashboards and alerts; the alerts are played, too.
promtool="$(command -v promtool)" || { echo "lacking: promtool (scripts/install-deps.sh --for deploy)" >&2; exit 1; }
"$python" -B check/observability.py "$chart/files" "$work/rules.yaml" "$work/panels.yaml"
cp check/alerts.test.yaml "$work/"
quietly() { "$@" > "$work/promtool" 2>&1 || { cat "$work/promtool" >&2; return 1; }; }
quietly "$promtool" check rules --lint-fatal "$work/rules.yaml" "$work/panels.yaml"
quietly "$promtool" test rules "$work/alerts.test.yaml"
"$python" -B ../scripts/configure_doc.py --check
"$python" -B ../scripts/check_docs.py
echo "deploy: all is well"
