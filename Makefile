# `make local` and `make test` do all set-up that is missing; `make help` lists the rest.
SHELL := /bin/bash
ENV ?= taaleem-local
export PATH := $(CURDIR)/.venv/bin:$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/stackwright/bin:$(PATH)
# Without cached bytecode a process compiles all that it imports, which is half of the CPU time of a short one.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-tests local destroy status verify artifact check test test-long molecule e2e bench docs

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what is missing (idempotent)
	@scripts/setup.sh

setup-tests:
	@scripts/setup.sh --tests

artifact: setup ## build the example application into dist/
	@python -m stackwright.artifact application $(if $(LABEL),--label $(LABEL))

local: setup ## bring up the environment taaleem-local on this machine (ENV=... for another, V=1 for raw output)
	@stackwright up $(ENV) $(if $(V),--verbose)

status: ## what runs, and where
	@stackwright status $(ENV)

verify: ## check the running environment from outside
	@stackwright verify $(ENV)

destroy: setup ## remove the environment and everything that it left on this machine
	@stackwright destroy $(ENV) --yes

check: setup ## quick checks, no container: lint, types, unit, property, render and contract tests
	@python scripts/test.py check

test: setup-tests ## every promise once; what CI runs, under an hour on two quiet cores
	@python scripts/test.py all

test-long: setup-tests ## repetitions, long transitions and Debian 12; writes docs/long-report.md (some hours; STAGES='"molecule nginx"' for a part)
	@python scripts/test.py long $(STAGES)

molecule: setup-tests ## the Molecule scenarios (ROLE=... for one)
	@python scripts/test.py molecule $(ROLE)

e2e: setup-tests ## the end-to-end tests
	@python scripts/test.py e2e

bench: setup-tests ## measure against peers and write docs/benchmarks.md (some twenty minutes; ARGS="edge --quick" for a part)
	@python -m bench $(or $(ARGS),all)

docs: setup ## regenerate what is generated: schemas, role READMEs, topology pictures
	@python scripts/docs.py --write
