# Each target makes .venv, installs what it needs and runs; it takes only Python 3.11 or newer, make and a package index.
PYTHON ?= python3
PY := .venv/bin/python
INSTALLED := .venv/.installed
FIRST_HALF ?= tests/cli tests/codegen tests/dialect tests/inspector tests/lsp tests/runtime tests/scope tests/services tests/tenancy

.PHONY: demo test check bench scale cores faults engine-proof tenancy reliability clean

demo: $(INSTALLED)
	@$(PY) examples/demo.py

# Two halves side by side: the tests wait more than they work. The first half's lines come at the end.
test: $(INSTALLED)
	@$(PY) -m pytest -p no:cacheprovider $(FIRST_HALF) >.first-half.log 2>&1 & first=$$!; \
	$(PY) -m pytest $(FIRST_HALF:%=--ignore=%) $(SECOND_HALF); second=$$?; \
	wait $$first; first=$$?; cat .first-half.log; exit $$((first | second))

check: $(INSTALLED)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m basedpyright --pythonpath $(PY)
	$(PY) -m mypy --python-executable $(PY)
	$(PY) -m automio generate --check

bench: $(INSTALLED)
	$(PY) -m benchmarks

# Deliberate faults, one at a time: the tests must notice each (some ten minutes).
faults: $(INSTALLED)
	$(PY) -m tests.scope.faults

# Schemas of up to 2,000 tables through the compiler and two strict checkers: half an hour.
scale: $(INSTALLED)
	$(PY) -m pytest tests/codegen/test_scale.py --scale

# What CI does in part: 2,000 random documents against a naive reader, more strings against each place, 50 kills.
engine-proof: $(INSTALLED)
	AUTOMIO_READS=2000 AUTOMIO_INJECTIONS=100 $(PY) -m pytest tests/engine/test_random_reads.py tests/engine/test_injection.py
	AUTOMIO_KILLS=50 $(PY) -m pytest tests/local/test_kills.py

# 10,000 random documents on random schemas, each lock alone and both (CI: 300); counts by kind at the end. Some half an hour.
tenancy: $(INSTALLED)
	AUTOMIO_TENANCY=10000 $(PY) -m pytest tests/tenancy -q

# 10,000 calls of which 1 % fail: no result lost, no write made twice (CI: 1,000). Half a minute.
reliability: $(INSTALLED)
	AUTOMIO_CALLS=10000 $(PY) -m pytest tests/local/test_ten_thousand.py

# The runtime on the newest graphql-core and gql, which ariadne-codegen does not install with.
cores: .venv-cores/.installed
	.venv-cores/bin/python -m pytest tests/runtime tests/scope tests/dialect -p no:cacheprovider

clean:
	rm -rf .venv .venv-cores .automio

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "automio needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	@echo "installing into .venv (once; about half a minute)"
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[codegen,local]' --group dev
	@touch $@

.venv-cores/.installed: pyproject.toml
	@$(PYTHON) -m venv .venv-cores
	@.venv-cores/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@.venv-cores/bin/python -m pip install --quiet --disable-pip-version-check --editable . 'gql[aiohttp]>=4.4' 'graphql-core>=3.3' \
		pytest pytest-asyncio pytest-timeout hypothesis
	@touch $@
