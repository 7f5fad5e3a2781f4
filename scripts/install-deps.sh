#!/usr/bin/env bash
# Installs the Debian packages that are lacking, by name, and says so. What is there already is left alone.
#
#   scripts/install-deps.sh [--for build|demo|test|bench|deploy]
#
# build: a C++ compiler, make and libclang for RocksDB's bindings. demo: curl and python3 as well. test: also influxdb, the
# judge of the answers, prometheus, iproute2 to cut links, and Python, Node.js and Go for the client libraries that the
# tests get from their registries. bench: also victoria-metrics. deploy: only what checks the manifests, Python with PyYAML, Go and
# promtool. Works on a fresh Debian 12; elsewhere, install what it names and run it again.
set -euo pipefail

purpose=build
case "${1:-}" in
  --for) purpose="${2:-}" ;;
  "") ;;
  *) echo "usage: $0 [--for build|demo|test|bench|deploy]" >&2; exit 2 ;;
esac
case "$purpose" in
  build|demo|test|bench|deploy) ;;
  *) echo "$0: --for takes build, demo, test, bench or deploy" >&2; exit 2 ;;
esac

has() { command -v "$1" >/dev/null 2>&1; }

# bindgen loads libclang at build time and reads the compiler's own headers beside it.
has_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  # libclang-cpp.so is another library.
  compgen -G '/usr/lib/llvm-*/lib/libclang[-.][0-9s]*' >/dev/null && compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' >/dev/null
}

lacking=()
if [ "$purpose" != deploy ]; then
  has g++ || lacking+=(g++)
  has make || lacking+=(make)
  has_libclang || lacking+=(libclang-dev)
fi
if [ "$purpose" = deploy ]; then
  { has python3 && python3 -c 'import yaml' || /usr/bin/python3 -c 'import yaml'; } >/dev/null 2>&1 || lacking+=(python3-yaml)
  has go || lacking+=(golang-go)
  has promtool || lacking+=(prometheus)
fi
if [ "$purpose" = demo ] || [ "$purpose" = test ] || [ "$purpose" = bench ]; then
  has curl || lacking+=(curl)
  has python3 || lacking+=(python3)
fi
if [ "$purpose" = test ] || [ "$purpose" = bench ]; then
  [ -x /usr/bin/influxd ] || lacking+=(influxdb)
  has influx || lacking+=(influxdb-client)
fi
if [ "$purpose" = test ]; then
  python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || lacking+=(python3-venv)
  has node || lacking+=(nodejs)
  has npm || lacking+=(npm)
  has go || lacking+=(golang-go)
  has prometheus || lacking+=(prometheus)
  has ip || lacking+=(iproute2)
fi
if [ "$purpose" = bench ]; then
  has victoria-metrics || lacking+=(victoria-metrics)
fi

if [ "${#lacking[@]}" -gt 0 ]; then
  if ! has apt-get; then
    echo "$0: lacking, and there is no apt-get to install it: ${lacking[*]}" >&2
    exit 1
  fi
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! has sudo; then
      echo "$0: lacking: ${lacking[*]}; install them as root: apt-get install ${lacking[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "installing Debian packages: ${lacking[*]}" >&2
  "${as_root[@]}" apt-get update -q >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${lacking[@]}" >&2
  # Tests and benchmarks start servers of their own. A package's service would take the ports of a local cluster.
  for service in influxdb victoria-metrics prometheus; do
    if [[ " ${lacking[*]} " == *" $service "* ]] && [ -d /run/systemd/system ]; then
      echo "stopping and disabling the service $service, which the package has just started" >&2
      "${as_root[@]}" systemctl disable --now "$service.service" >&2 || true
    fi
  done
fi

if [ "$purpose" != deploy ] && ! has cargo; then
  echo "$0: there is no cargo. Debian's is too old; install Rust 1.90 or later from https://rustup.rs" >&2
  exit 1
fi
