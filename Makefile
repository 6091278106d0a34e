# Every target does all of its own set-up, on a machine with Python >= 3.11 and make, and nothing else.
# The logic is in tools/setup; ARGS is handed on: make test ARGS="-k threshold -x".

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo run test check docs bench lock release servers install clean

PYTHON := .venv/bin/python
STAMP := .venv/.installed
# A folder's own time changes when a plugin is added or taken away.
OURS := plugins contrib tools
INSTALLED_FROM := pyproject.toml requirements.lock $(wildcard $(OURS) $(OURS:=/*/pyproject.toml)) tools/setup/install.sh \
	tools/setup/uv.sh tools/setup/uv-requirements.txt

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(STAMP) servers ## one inspection from end to end: real Prometheus, Candy-Server's stand-in, the agent
	@$(PYTHON) -m candy_demo $(ARGS)

run: $(STAMP) servers ## the same surroundings, kept running until Ctrl-C, with addresses and a key to try
	@$(PYTHON) -m candy_demo --keep $(ARGS)

test: $(STAMP) ## all tests; what has no server is skipped with a reason (the first run builds one, kube-apiserver: 4 min)
	@tools/setup/servers.sh --optional --kube --image
	@$(PYTHON) -m pytest --numprocesses auto $(ARGS)

check: $(STAMP) ## lint, format, types, which module imports which, licences, changelog
	@tools/setup/check.sh

docs: $(STAMP) ## write the generated parts of the documents anew: tables of settings, the picture
	@$(PYTHON) -m candy_docs

bench: $(STAMP) servers ## how fast, against others that do the same work on this machine; some eight minutes
	@tools/setup/servers.sh --optional --kube
	@$(PYTHON) -m candy_bench $(ARGS)

lock: ## resolve every dependency anew into requirements.lock
	@tools/setup/lock.sh $(ARGS)

release: $(STAMP) ## a release of VERSION=X.Y.Z, built and checked; uploads nothing (ARGS=--dry-run: changes nothing)
	@tools/setup/release.sh $(VERSION) $(ARGS)

install: $(STAMP) ## make .venv with the agent, its plugins and the tools, and nothing else

servers: ## the real servers that demo, tests and bench talk to, from Debian
	@tools/setup/servers.sh

clean: ## remove everything that these targets made inside the checkout
	@rm -rf .venv .cache build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -type d -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): $(INSTALLED_FROM)
	@tools/setup/install.sh
	@touch $@
