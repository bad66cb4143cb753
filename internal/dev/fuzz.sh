#!/usr/bin/env bash
# fuzz.sh TIME [PACKAGES...]: runs each fuzz target found for TIME (10s, 5m), one after the other.
# Go on after a failure; print what was found and exit 1 in the end. Variables: GO
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

GO="${GO:-go}"
(($# >= 1)) || { echo 'usage: fuzz.sh TIME [PACKAGES...]' >&2; exit 2; }
time="$1"
shift
(($#)) || set -- ./...

# One line "PACKAGE TARGET" each: go test -list prints the names before the line of their package.
list="$("$GO" test -list '^Fuzz' "$@")"
mapfile -t targets < <(awk '
  /^Fuzz/ { names[n++] = $1 }
  $1 == "ok" { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }' <<<"$list")
echo "fuzz: ${#targets[@]} targets, $time each"

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
failed=()
total=0

# once PACKAGE TARGET: true if it passed
once() { "$GO" test -run '^$' -fuzz "^$2\$" -fuzztime "$time" "$1" >"$log" 2>&1; }

# The engine sometimes reports the end of its own time as a failure (golang/go#75804). Such a report
# has no failing input, and is tried once more; every other failure stands.
only_out_of_time() {
  grep -q 'context deadline exceeded' "$log" && ! grep -qE 'Failing input written|panic:|hung or terminated' "$log"
}

for target in "${targets[@]}"; do
  read -r package name <<<"$target"
  if once "$package" "$name" || { only_out_of_time && once "$package" "$name"; }; then
    execs="$(sed -n 's/.*execs: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)"
    total=$((total + ${execs:-0}))
    printf 'fuzz: ok    %10s executions  %s %s\n' "${execs:-0}" "$package" "$name"
  else
    printf 'fuzz: FAIL  %s %s\n' "$package" "$name"
    sed 's/^/    /' "$log"
    # The input that failed, so that a log is enough to repeat it.
    sed -n 's/.*Failing input written to \(.*\)$/\1/p' "$log" | while read -r input; do
      dir="$("$GO" list -f '{{.Dir}}' "$package")"
      echo "    --- $input"
      sed 's/^/    /' "$dir/$input"
    done
    failed+=("$package $name")
  fi
done
echo "fuzz: $total executions in all"
if ((${#failed[@]})); then
  printf 'fuzz: FAILED: %s\n' "${failed[@]}"
  exit 1
fi
