#!/usr/bin/env bash
# Makes the image of a node from a binary that was built already, as an OCI archive: without a daemon, and without pulling
# anything. Needs buildah (Debian: buildah), and says so.
#
#   deploy/build-image.sh [--binary FILE] [--tag NAME:TAG] [--output FILE]
#
# Load it with: podman load -i steadfast.oci.tar, or: ctr -n k8s.io images import steadfast.oci.tar
set -euo pipefail
cd "$(dirname "$0")/.."

binary="${CARGO_TARGET_DIR:-target}/release/steadfast"
tag="steadfast:dev"
output="steadfast.oci.tar"
while [ "$#" -gt 0 ]; do
  case "$1" in
    --binary) binary="${2:?--binary needs a file}"; shift 2 ;;
    --tag) tag="${2:?--tag needs a name}"; shift 2 ;;
    --output) output="${2:?--output needs a file}"; shift 2 ;;
    *) echo "usage: $0 [--binary FILE] [--tag NAME:TAG] [--output FILE]" >&2; exit 2 ;;
  esac
done
command -v buildah >/dev/null || { echo "$0: lacking: buildah (apt-get install buildah)" >&2; exit 1; }

work="$(mktemp -d)"
container=""
clean() {
  [ -z "$container" ] || buildah rm "$container" >/dev/null || true
  rm -rf "$work"
}
trap clean EXIT

strip -o "$work/steadfast" "$binary"
deploy/image-root.sh "$work/steadfast" "$work/root"

# Files only are put into an empty image: neither a container runtime nor a kernel feature is needed for that.
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}"
container="$(buildah from scratch)"
buildah copy --quiet "$container" "$work/root" /
version="$("$work/steadfast" --version | awk '{ print $2 }')"
buildah config \
  --user 65532:65532 \
  --entrypoint '["/steadfast"]' --cmd serve \
  --port 8086 --port 8083 --port 8088 \
  --volume /var/lib/steadfast \
  --label org.opencontainers.image.title=steadfast \
  --label "org.opencontainers.image.version=$version" \
  "$container"
rm -f "$output"
buildah commit --quiet "$container" "oci-archive:$output:$tag" >/dev/null
echo "$output: $tag, steadfast $version, $(du -h "$output" | cut -f1)"
