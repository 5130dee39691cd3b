# The verbs of infermesh. Each installs what it needs and is missing, then calls the tool that does the work.
#
#   V=1       show every command and all output      JOBS=N   compile N files at once (all cores)
#   ARGS=...  passed on: make test-e2e ARGS="-k cancel"

.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules
SHELL := /bin/bash

PRESET ?= dev
BINARY ?= build/$(PRESET)/infermesh
SECONDS_EACH ?= $(if $(filter environment command line,$(origin SECONDS)),$(SECONDS),60)
PYTHON := .venv/bin/python
MODEL := build/models/tiny.gguf
STEP := tools/step.sh
export V JOBS NINJA

# A run with sanitizers stops at the first report and says where.
export ASAN_OPTIONS ?= detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS ?= halt_on_error=1:second_deadlock_stack=1
ifdef REWRITE
export INFERMESH_REWRITE := 1
endif

.PHONY: help demo demo-stop build dev test test-unit test-e2e test-asan test-tsan check fmt gen fuzz bench bench-routing soak overload docs clean

help: ## this list
	@printf 'make demo          see it work: real engines, real clients, one engine killed; under a minute\n'
	@printf 'make test          everything that must pass\n\n'
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-17s %s\n", $$1, $$2 }'
	@printf '\nV=1 shows all output. KEEP=1 make demo leaves it running. REWRITE=1 make test-unit rewrites golden files.\n'

demo: ## real llama.cpp servers, the router, the official OpenAI client (KEEP=1: leave it running)
	@tools/setup.sh build venv
	@$(STEP) build release infermesh
	@$(MAKE) $(MODEL)
	@$(PYTHON) tools/demo

demo-stop: ## ends what KEEP=1 make demo left running
	@$(PYTHON) tools/demo --stop

build: ## build/release/infermesh, the binary people run
	@tools/setup.sh build
	@$(STEP) build release infermesh

dev: ## build/dev: the binary and all test programs, quick to compile
	@tools/setup.sh build develop
	@$(STEP) build $(PRESET)

test: ## setup, build, check, unit and scenario tests, end-to-end tests
	@tools/setup.sh build develop venv kserve
	@$(STEP) build $(PRESET)
	@$(MAKE) check
	@$(MAKE) test-unit BUILT=1
	@$(MAKE) test-e2e BUILT=1

test-unit: $(if $(BUILT),,dev) ## the unit and scenario test programs (ARGS: for ctest)
	@$(STEP) show "unit and scenario tests" ctest --test-dir build/$(PRESET) -j $${JOBS:-$$(nproc)} --output-on-failure --no-tests=error $(ARGS)

test-e2e: $(if $(BUILT),,dev) $(MODEL) ## real processes on loopback (ARGS: for pytest)
	@$(STEP) show "end-to-end tests" env INFERMESH_BIN=$(abspath $(BINARY)) $(PYTHON) -m pytest test/e2e $(ARGS)

test-asan: ## the whole suite under the address and undefined-behaviour sanitizers
	@$(MAKE) test PRESET=asan

test-tsan: ## the whole suite under the thread sanitizer
	@$(MAKE) test PRESET=tsan

check: ## include rules, purity, format, sizes, generated files
	@tools/setup.sh build develop
	@$(STEP) quiet "tests of the checks" /usr/bin/python3 tools/check_test.py
	@$(STEP) quiet "tests of the verbs" /usr/bin/python3 tools/verbs_test.py
	@$(STEP) quiet "tests of the benchmarks' own arithmetic" /usr/bin/python3 bench/run_test.py
	@$(STEP) show check /usr/bin/python3 tools/check.py

fmt: ## formats the C++ sources
	@tools/setup.sh develop
	@git ls-files --cached --others --exclude-standard '*.cc' '*.h' | grep -v '\.gen\.' | xargs -r clang-format-19 -i

gen: ## writes what is generated from api/schema; changes nothing in a clean tree
	@tools/setup.sh build
	@/usr/bin/python3 tools/gen.py

fuzz: ## each codec's fuzz target for SECONDS=60
	@tools/setup.sh build fuzz
	@$(STEP) build fuzz
	@$(STEP) show fuzz tools/fuzz.sh $(SECONDS_EACH)

bench: ## the router's own cost beside nginx and other routers (ARGS: for bench/proxy/run.py; --quick: a minute)
	@tools/setup.sh build bench
	@[[ -f build/release/bench/micro/cmake_install.cmake ]] || $(STEP) quiet "configure the benchmarks" cmake --preset release -DINFERMESH_BENCH=ON
	@$(STEP) build release infermesh mock_engine load_gen $(if $(wildcard bench/micro/core_route_bench.cc),core_route_bench)
	@$(STEP) show "what a request costs" /usr/bin/python3 bench/proxy/run.py $(ARGS)

soak: build ## half load, engines killed and slowed, clients that vanish: 30 minutes (ARGS: for bench/soak/run.py)
	@tools/setup.sh venv
	@$(STEP) show soak $(PYTHON) bench/soak/run.py $(ARGS)

overload: build ## twice the capacity for 5 minutes: goodput, priorities, recovery (ARGS: for bench/overload/run.py)
	@$(STEP) show overload /usr/bin/python3 bench/overload/run.py $(ARGS)

bench-routing: build ## every policy on simulated engines: goodput, latency, prefix hits (ARGS: for bench/routing/run.py)
	@tools/setup.sh venv
	@$(PYTHON) bench/routing/run.py $(ARGS)

docs: gen ## the generated reference in docs/reference
	@ls docs/reference

clean: ## removes build/ (the Python packages in .venv stay)
	rm -rf build

$(MODEL): tools/tiny_model.py tools/requirements.txt
	@tools/setup.sh venv
	@$(STEP) quiet "tiny model" $(PYTHON) tools/tiny_model.py $@
