#!/usr/bin/env bash
# Runs every fuzz target of build/fuzz for some seconds, from its corpus in test/fuzz/corpus/NAME.
#
#   tools/fuzz.sh [SECONDS [NAME...]]     NAME: without its prefix fuzz_
# What libFuzzer finds new stays in build/fuzz/corpus/NAME; an input that fails, in build/fuzz/crash-NAME-*.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-60}
shift || true
mapfile -t programs < <(find build/fuzz -type f -executable -name 'fuzz_*' | sort)
((${#programs[@]})) || { echo "no fuzz targets in build/fuzz; run: make fuzz" >&2; exit 1; }

passed=0 failed=0
for program in "${programs[@]}"; do
  name=$(basename "$program")
  name=${name#fuzz_}
  if (($#)) && [[ " $* " != *" $name "* ]]; then continue; fi
  found=build/fuzz/corpus/$name log=build/logs/fuzz-$name.log
  mkdir -p "$found" build/logs
  seeds=()
  [[ -d test/fuzz/corpus/$name ]] && seeds=("test/fuzz/corpus/$name")
  if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/crash-$name-" "$found" "${seeds[@]}" >"$log" 2>&1 </dev/null; then
    ((passed += 1))
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '   %-22s %12s runs, %s in the corpus\n' "$name" "${runs:-?}" "$(find "$found" -type f | wc -l)"
  else
    ((failed += 1))
    tail -n 30 "$log"
    printf '   %-22s FAILED; replay: %s build/fuzz/crash-%s-*\n' "$name" "$program" "$name"
  fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0 && passed > 0))
