# `make demo` and `make test` work on a machine with Python 3.11+, Git and make: both prepare
# .venv first, with the locked versions of requirements/dev.txt (uv if it is there, else pip).

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2

.PHONY: demo test test-long fidelity lint bench lock clean wheel setup

setup: $(READY)

$(READY): requirements/dev.txt pyproject.toml
	@sh tools/setup.sh "$(PYTHON)" $(VENV)
	@touch $@

demo: $(READY)
	@$(BIN)/trimtab up --demo --data .demo $(if $(KEEP),--keep) $(DEMO_FLAGS)

# Temporary files stay inside the checkout, so that deleting it leaves nothing behind.
test test-long fidelity bench: export TMPDIR := $(CURDIR)/.tmp
demo test test-long fidelity bench: export KUBECACHEDIR := $(CURDIR)/.tmp/kubectl

test: $(READY)
	@mkdir -p .tmp
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not long"

test-long: $(READY)
	@mkdir -p .tmp
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m long --timeout 1800

# Any other API server: python -m trimtab.cluster.fidelity run --server URL --token-file FILE
fidelity: $(READY)
	@mkdir -p .tmp
	$(BIN)/python -m trimtab.cluster.fidelity run

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	@mkdir -p .tmp
	$(BIN)/python -m bench

wheel: $(READY)
	$(BIN)/python -m hatchling build -t wheel

lock:
	sh tools/lock.sh

clean:
	rm -rf $(VENV) dist build .demo .tmp .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
