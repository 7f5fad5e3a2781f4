#!/usr/bin/env bash
# Lays out the root directory of the image: the binary, the shared libraries it is linked to, a user.
#
#   deploy/image-root.sh BINARY DIRECTORY
set -euo pipefail

[ "$#" -eq 2 ] || { echo "usage: $0 BINARY DIRECTORY" >&2; exit 2; }
binary="$1"
root="$2"
user=65532

[ -x "$binary" ] || { echo "$0: $binary is no program; build it first: cargo build --release --workspace" >&2; exit 1; }
if [ -e "$root" ] && [ -n "$(ls -A "$root")" ]; then
  echo "$0: $root is not empty" >&2
  exit 1
fi

install -d -m 755 "$root" "$root/etc" "$root/lib64"
# Mount points: the data, and what a read-only root must leave writable.
install -d -m 750 "$root/var/lib/steadfast"
install -d -m 1777 "$root/tmp"
install -m 755 "$binary" "$root/steadfast"
echo "steadfast:x:$user:$user:Steadfast:/var/lib/steadfast:/sbin/nologin" > "$root/etc/passwd"
echo "steadfast:x:$user:" > "$root/etc/group"
# Names are looked up in files first, then by DNS.
echo "hosts: files dns" > "$root/etc/nsswitch.conf"

# The loader first, then each library under the directory it was found in.
ldd "$binary" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | sort -u | while read -r library; do
  install -D -m 755 "$(readlink -f "$library")" "$root$library"
done

# Only root may give files away; who builds as somebody else lets the image tool do it.
if [ "$(id -u)" -eq 0 ]; then
  chown "$user:$user" "$root/var/lib/steadfast"
fi
