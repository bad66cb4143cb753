#!/usr/bin/env bash
# What `make lint` runs: gofmt, go vet, golangci-lint at a pinned version, shellcheck where it is
# installed, and the build with and without cgo. Every check runs; the exit status is 1 if one failed.
# Variables: GO, TOOLS_DIR (default ~/.cache/viaduct-tools)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

GO="${GO:-go}"
GOLANGCI_VERSION=v2.15.0
TOOLS_DIR="${TOOLS_DIR:-$HOME/.cache/viaduct-tools}"
lint="$TOOLS_DIR/golangci-lint-$GOLANGCI_VERSION/golangci-lint"
failed=()

check() { # check NAME COMMAND...
  printf 'lint: %s\n' "$1"
  "${@:2}" || failed+=("$1")
}

# Tools live outside of the tree and of its go.mod.
install_golangci() {
  [ -x "$lint" ] && return
  printf 'lint: installing golangci-lint %s into %s\n' "$GOLANGCI_VERSION" "$TOOLS_DIR"
  (cd / && GOBIN="$(dirname "$lint")" GOFLAGS='' GOWORK=off CGO_ENABLED=0 \
    "$GO" install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$GOLANGCI_VERSION")
}

formatted() {
  local files
  files="$(gofmt -l .)"
  [ -z "$files" ] || { printf 'not formatted (run gofmt -w):\n%s\n' "$files"; return 1; }
}

linted() { install_golangci && "$lint" run ./...; }

shell_scripts() { # tracked files that begin with a shell's line
  git ls-files -co --exclude-standard -z | xargs -0 grep -lIE -m1 '^#!(/usr)?/bin/(env )?(ba)?sh' 2>/dev/null | sort
}

shellchecked() {
  local scripts
  mapfile -t scripts < <(shell_scripts)
  # SC2164: what a script sources may set -e, which shellcheck does not see.
  shellcheck -x -P SCRIPTDIR -S warning -e SC2164 "${scripts[@]}"
}

has_compiler() { # shellcheck disable=SC2046 # CC may hold arguments
  echo 'int main(void) { return 0; }' | $("$GO" env CC) -x c -o /dev/null - 2>/dev/null
}

check 'gofmt' formatted
check 'build without cgo' env CGO_ENABLED=0 "$GO" build ./...
check 'vet without cgo' env CGO_ENABLED=0 "$GO" vet ./...
if has_compiler; then
  check 'build with cgo' env CGO_ENABLED=1 "$GO" build ./...
  check 'vet with cgo' env CGO_ENABLED=1 "$GO" vet ./...
else
  echo 'lint: no C compiler, so the build with cgo was not tried'
fi
check 'golangci-lint' linted
if command -v shellcheck >/dev/null; then
  check 'shellcheck' shellchecked
else
  echo 'lint: no shellcheck (Debian package: shellcheck), so scripts were not checked'
fi

if ((${#failed[@]})); then
  printf 'lint: FAILED: %s\n' "${failed[@]}"
  exit 1
fi
echo 'lint: ok'
