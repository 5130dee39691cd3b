#!/usr/bin/env bash
# Installs what a verb of the Makefile needs and is missing; does nothing, quickly, when all is there. Never asks.
#
#   tools/setup.sh GROUP...     GROUP: build, develop, tidy, fuzz (Debian packages), venv (Python packages in .venv),
#                               bench (Debian packages, and other routers in build/bench),
#                               kserve (Triton and MLServer in .venv-kserve; tests without them are skipped)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build_packages=(g++-12 cmake ninja-build pkg-config ccache lld-19 libboost1.81-dev libboost-json1.81-dev
  libfmt-dev libprotobuf-dev libssl-dev protobuf-compiler libyaml-cpp-dev node-llhttp libnghttp2-dev zlib1g-dev
  python3-yaml)
develop_packages=(libgtest-dev libgmock-dev clang-format-19 curl git nghttp2-client openssl)
tidy_packages=(clang-tidy-19)
fuzz_packages=(clang-19 libclang-rt-19-dev llvm-19)
bench_packages=(nginx-light haproxy binutils libbenchmark-dev python3-venv)
bench_routers=(smg==1.13.0 vllm-router==0.1.17 sglang-router==0.3.2)
venv_packages=(python3-venv)

log=build/setup.log
mkdir -p build

if [[ -t 2 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then bold=$'\e[1m' red=$'\e[31m' off=$'\e[0m'; else bold='' red='' off=''; fi
say() { printf '%ssetup%s  %s\n' "$bold" "$off" "$*" >&2; }
# fail WHAT NEXT: the end of the log, what went wrong, what to do.
fail() {
  [[ -s $log ]] && tail -n 15 "$log" | sed 's/^/         /' >&2
  printf '%ssetup%s  %s\n       %s\n' "$red" "$off" "$1" "$2" >&2
  exit 1
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

missing_of() {
  dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
    awk -v want="$*" '$2 == "installed" { have[$1] = 1 }
      END { n = split(want, w, " "); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'
}

apt_install() {
  command -v dpkg-query >/dev/null ||
    fail "this is not a Debian system: dpkg-query is missing" "install by hand what build needs: $*"
  local missing
  mapfile -t missing < <(missing_of "$@")
  ((${#missing[@]})) || return 0
  if [[ $(id -u) != 0 ]] && ! sudo -n true 2>/dev/null; then
    : >"$log"
    fail "packages are missing and installing them needs root" "run: sudo apt-get install -y --no-install-recommends ${missing[*]}"
  fi
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  local options=(-qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get "${options[@]}" update >"$log" 2>&1 </dev/null ||
    fail "apt-get update failed" "is the network up? the whole log: $log"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null ||
    fail "apt-get install failed" "infermesh builds on Debian 12; the whole log: $log"
}

# The system's Python is known to have wheels for every requirement; another one serves from 3.10 on.
choose_python() {
  local candidate
  for candidate in /usr/bin/python3 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  : >"$log"
  fail "no Python 3.10 or newer with the venv module" "run: apt-get install python3-venv"
}

make_venv() {
  local want stamp=.venv/requirements.stamp
  want=$(cksum <tools/requirements.txt)
  [[ -f $stamp && $(<"$stamp") == "$want" && -x .venv/bin/python ]] && return 0
  local python
  [[ -x /usr/bin/apt-get ]] && apt_install "${venv_packages[@]}"
  python=$(choose_python)
  say "making .venv: $(grep -c '^[a-z]' tools/requirements.txt) Python packages (llama.cpp's server, OpenAI's client, ...)"
  "$python" -m venv --clear .venv >"$log" 2>&1 ||
    fail "python -m venv failed" "the whole log: $log"
  .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check -r tools/requirements.txt >>"$log" 2>&1 </dev/null ||
    fail "pip install failed" "is the network up? the whole log: $log"
  echo "$want" >"$stamp"
}

# Other routers to measure beside, each in an environment of its own. One that cannot be had is no failure: the
# reason is kept for the table.
make_routers() {
  local wheel name folder python=''
  for wheel in "${bench_routers[@]}"; do
    name=${wheel%%==*} folder=build/bench/${wheel%%==*}
    [[ -f $folder.stamp && $(<"$folder.stamp") == "$wheel" ]] && continue
    [[ -n $python ]] || python=$(choose_python)
    mkdir -p build/bench
    rm -f "$folder.stamp" "$folder.reason"
    say "installing $wheel to measure beside"
    if "$python" -m venv --clear "$folder" >"$log" 2>&1 &&
      "$folder/bin/python" -m pip install --quiet --no-input --disable-pip-version-check "$wheel" >>"$log" 2>&1 </dev/null; then
      echo "$wheel" >"$folder.stamp"
    else
      rm -rf "$folder"
      echo "pip install $wheel failed" >"$folder.reason"
      say "$name cannot be installed and is left out; the end of its log:"
      tail -n 3 "$log" | sed 's/^/         /' >&2
    fi
  done
}

# Real model servers for some tests, 0.5 GB. Where they cannot be had, those tests say so.
make_kserve_venv() {
  local want stamp=.venv-kserve/requirements.stamp
  want=$(cksum <tools/requirements-kserve.txt)
  [[ -f $stamp && $(<"$stamp") == "$want" ]] && return 0
  [[ -f .venv-kserve/missing.stamp && $(<.venv-kserve/missing.stamp) == "$want" ]] && return 0
  say "making .venv-kserve: Triton and MLServer, for the tests of KServe"
  "$(choose_python)" -m venv --clear .venv-kserve >"$log" 2>&1 ||
    fail "python -m venv failed" "the whole log: $log"
  if .venv-kserve/bin/python -m pip install --quiet --no-input --disable-pip-version-check -r tools/requirements-kserve.txt >>"$log" 2>&1 </dev/null; then
    echo "$want" >"$stamp"
  else
    say "Triton and MLServer could not be installed; tests with them are skipped (log: $log; again: rm -r .venv-kserve)"
    echo "$want" >.venv-kserve/missing.stamp
  fi
}

(($#)) || { echo "usage: tools/setup.sh build|develop|tidy|fuzz|bench|venv|kserve ..." >&2; exit 2; }
packages=()
venv=no
kserve=no
routers=no
for group in "$@"; do
  case $group in
    build) packages+=("${build_packages[@]}") ;;
    develop) packages+=("${develop_packages[@]}") ;;
    tidy) packages+=("${tidy_packages[@]}") ;;
    fuzz) packages+=("${fuzz_packages[@]}") ;;
    bench) packages+=("${bench_packages[@]}") routers=yes ;;
    venv) venv=yes ;;
    kserve) kserve=yes ;;
    *) echo "tools/setup.sh: no group '$group'; groups: build, develop, tidy, fuzz, bench, venv, kserve" >&2; exit 2 ;;
  esac
done
((${#packages[@]} == 0)) || apt_install "${packages[@]}"
[[ $venv == no ]] || make_venv
[[ $routers == no ]] || make_routers
[[ $kserve == no ]] || make_kserve_venv
