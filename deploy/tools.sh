# Sourced by the scripts of this directory: the tools they need, at pinned versions.
#
# helm, kustomize and kubeconform are Go modules. They are compiled once (minutes on two cores) into a cache outside the checkout,
# ${XDG_CACHE_HOME:-~/.cache}/steadfast/tools, and found there afterwards.

tools_cache="${XDG_CACHE_HOME:-$HOME/.cache}/steadfast/tools"

helm_module=helm.sh/helm/v3/cmd/helm@v3.18.6
kustomize_module=sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
kubeconform_module=github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0
# The oldest Go that compiles them. Where there is only an older one (Debian 12 has 1.19), this one is fetched as a Go module, too.
go_needed=1.24.9

# Prints the path of a Go that is new enough.
find_go() {
  command -v go >/dev/null || { echo "lacking: go (scripts/install-deps.sh --for deploy)" >&2; return 1; }
  local version
  version="$(GOTOOLCHAIN=local go env GOVERSION)"
  if [ "$(printf '%s\n' "$go_needed" "${version#go}" | sort -V | head -n 1)" = "$go_needed" ]; then
    command -v go
    return
  fi
  local platform home
  platform="$(go env GOOS)-$(go env GOARCH)"
  home="$tools_cache/go$go_needed.$platform"
  if [ ! -x "$home/bin/go" ]; then
    echo "$(command -v go) is $version; fetching $go_needed into $home" >&2
    local from
    from="$(cd / && GOFLAGS=-mod=mod go mod download -json "golang.org/toolchain@v0.0.1-go$go_needed.$platform" \
      | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')"
    rm -rf "$home.new"
    mkdir -p "$tools_cache"
    cp -r "$from" "$home.new"
    # A module's zip has no modes.
    chmod -R u+w "$home.new"
    chmod -R a+x "$home.new/bin" "$home.new/pkg/tool"
    mv "$home.new" "$home"
  fi
  echo "$home/bin/go"
}

# Prints the path of a tool: helm, kustomize or kubeconform. Compiles it the first time.
find_tool() {
  local name="$1" module_name="$1_module"
  local module="${!module_name}"
  local path="$tools_cache/$name-${module##*@}"
  if [ ! -x "$path" ]; then
    local go
    go="$(find_go)" || return 1
    echo "compiling $module into $tools_cache (once)" >&2
    rm -rf "$path.new"
    # From the root: a go.mod around the checkout is none of its business.
    (cd / && env -u GOROOT GOFLAGS= GOTOOLCHAIN=local CGO_ENABLED=0 GOBIN="$path.new" "$go" install -trimpath "$module") >&2 || return 1
    mv "$path.new/$name" "$path"
    rm -rf "$path.new"
  fi
  echo "$path"
}

# Prints the path of a Python that reads YAML.
find_python() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import yaml' >/dev/null 2>&1; then
      echo "$python"
      return
    fi
  done
  echo "lacking: Python with PyYAML (scripts/install-deps.sh --for deploy)" >&2
  return 1
}
