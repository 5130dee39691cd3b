#!/usr/bin/env bash
# One step of a verb: a heading, the command, how long it took. Used by the Makefile.
#
#   tools/step.sh quiet TITLE COMMAND...   the output goes to build/logs/TITLE.log; its end is shown on failure
#   tools/step.sh show  TITLE COMMAND...   the output is shown as it comes
#   tools/step.sh build PRESET [TARGET...] configures when needed and builds; one progress line on a terminal
# V=1 shows everything. NINJA names another ninja.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p build/logs

colour=no
if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then colour=yes; fi
if [[ $colour == yes ]]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' off=$'\e[0m'; else bold='' dim='' green='' red='' off=''; fi

started=${EPOCHREALTIME/[.,]/}
took() {
  local tenths=$(((${EPOCHREALTIME/[.,]/} - started) / 100000))
  if ((tenths < 1000)); then printf '%d.%d s' $((tenths / 10)) $((tenths % 10)); else printf '%d min %02d s' $((tenths / 600)) $((tenths / 10 % 60)); fi
}
heading() { printf '%s== %s%s\n' "$bold" "$1" "$off"; }
passed() { printf '%s   %s %s%s\n' "$green" "$1" "$off$dim" "$(took)$off"; }
failed() { printf '%s   %s failed%s after %s%s\n' "$red" "$1" "$off" "$(took)" "${2:+; whole log: $2}"; }

run_quiet() {
  local title=$1 log
  shift
  log=build/logs/${title//[^a-zA-Z0-9._-]/-}.log
  if [[ -n ${V:-} ]]; then run_show "$title" "$@"; return; fi
  local status=0
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status == 0)); then passed "$title"; return; fi
  tail -n 40 "$log"
  failed "$title" "$log"
  return "$status"
}

run_show() {
  local title=$1
  shift
  heading "$title"
  local status=0
  "$@" || status=$?
  if ((status == 0)); then passed "$title"; return; fi
  failed "$title"
  return "$status"
}

build() {
  local preset=$1 ninja status=0 arguments=()
  shift
  read -ra ninja <<<"${NINJA:-ninja}"
  if [[ ! -f build/$preset/build.ninja ]]; then
    run_quiet "configure $preset" cmake --preset "$preset" || return
    printf '%s   build %s: the first takes some minutes%s\n' "$dim" "$preset" "$off"
  fi
  if [[ -n ${V:-} ]]; then arguments+=(-v); elif [[ ! -t 1 ]]; then arguments+=(--quiet); fi
  [[ -n ${JOBS:-} ]] && arguments+=(-j "$JOBS")
  NINJA_STATUS='   [%f/%t] ' "${ninja[@]}" -C "build/$preset" "${arguments[@]}" "$@" || status=$?
  ((status == 0)) && passed "build $preset" || failed "build $preset"
  return "$status"
}

mode=${1:?usage: tools/step.sh quiet|show|build ...}
shift
case $mode in
  quiet) run_quiet "$@" ;;
  show) run_show "$@" ;;
  build) build "$@" ;;
  *) echo "tools/step.sh: unknown mode '$mode'" >&2; exit 2 ;;
esac
