#!/usr/bin/env bash
# Runs the image as Kubernetes does: its entry point under its user, the root read-only, only the data directory and /tmp
# writable. Writes a point, reads it, stops it. Needs root (for the mounts), jq and curl, but no container runtime.
#
#   deploy/check-image.sh steadfast.oci.tar
set -euo pipefail

archive="$(readlink -f "${1:?usage: $0 ARCHIVE}")"
[ "$(id -u)" -eq 0 ] || { echo "$0: needs root: it mounts the image" >&2; exit 1; }
for tool in jq curl; do
  command -v "$tool" >/dev/null || { echo "$0: lacking: $tool (apt-get install $tool)" >&2; exit 1; }
done

work="$(mktemp -d)"
pid=""
clean() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  wait
  rm -rf "$work"
}
trap clean EXIT

# An OCI archive: the index names the manifest, the manifest its configuration and its layers.
tar -xf "$archive" -C "$work"
blob() { echo "$work/blobs/${1/://}"; }
manifest="$(blob "$(jq -r '.manifests[0].digest' "$work/index.json")")"
config="$(blob "$(jq -r .config.digest "$manifest")")"
mkdir "$work/root" "$work/data"
jq -r '.layers[].digest' "$manifest" | while read -r layer; do
  tar --same-owner -xpf "$(blob "$layer")" -C "$work/root"
done
user="$(jq -r .config.User "$config")"
mapfile -t command < <(jq -r '(.config.Entrypoint + .config.Cmd)[]' "$config")
[ "$user" = 65532:65532 ] || { echo "$0: the image runs as $user" >&2; exit 1; }
chown "$user" "$work/data"

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
http="127.0.0.1:$(port)" admin="127.0.0.1:$(port)" peer="127.0.0.1:$(port)"
root="$work/root" data="$work/data" user="$user" \
STEADFAST_NODE_HTTP_ADDR="$http" STEADFAST_NODE_ADMIN_ADDR="$admin" STEADFAST_NODE_PEER_ADDR="$peer" \
unshare --mount bash -euc '
  mount --bind "$root" "$root"
  mount --bind "$data" "$root/var/lib/steadfast"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  mount -o remount,bind,ro "$root"
  exec chroot --userspec="$user" "$root" "$@"
' bash "${command[@]}" > "$work/log" 2>&1 &
pid=$!

for _ in $(seq 100); do
  [ "$(curl -s -o /dev/null -w '%{http_code}' "http://$admin/readyz")" = 200 ] && break
  kill -0 "$pid" 2>/dev/null || { echo "$0: the node has ended:" >&2; cat "$work/log" >&2; exit 1; }
  sleep 0.2
done
curl -sf -XPOST "http://$http/query" --data-urlencode 'q=CREATE DATABASE image' > /dev/null
curl -sf -XPOST "http://$http/write?db=image" --data-binary 'm v=42 1'
answer="$(curl -sf -G "http://$http/query" --data-urlencode db=image --data-urlencode epoch=ns --data-urlencode 'q=SELECT v FROM m')"
[ "$(jq -c '.results[0].series[0].values' <<< "$answer")" = '[[1,42]]' ] || { echo "$0: $answer" >&2; exit 1; }
owner="$(stat -c %u:%g "$work/data/identity.toml")"
[ "$owner" = 65532:65532 ] || { echo "$0: the data belong to $owner" >&2; exit 1; }
echo "$(basename "$archive"): serves as $user with a read-only root"
