#!/usr/bin/env bash
# Rehearses the StatefulSet of kubernetes/overlays/kube-system without Kubernetes: `make rehearsal`.
#
#   deploy/rehearse.sh --binary FILE [what deploy/rehearsal/__main__.py takes]
#
# Needs root, for namespaces and mounts; without it, it says so and does nothing.
set -euo pipefail
cd "$(dirname "$0")"
. ./tools.sh

if ! ip netns add "sfr$$-try" 2>/dev/null; then
  echo "rehearsal: skipped, there are no network namespaces here (root and iproute2 are needed)"
  exit 0
fi
ip netns del "sfr$$-try"

rendering="$(mktemp)"
trap 'rm -f "$rendering"' EXIT
"$(find_tool kustomize)" build kubernetes/overlays/kube-system > "$rendering"
"$(find_python)" -B rehearsal --rendering "$rendering" "$@"
