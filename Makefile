# make setup   a virtual environment in .venv with nextclick and the tools installed
# make test    the quick tests              make slow    the slow ones
# make test-noida    those that use a Kafka broker, on the small one from PyPI
# make bench   how fast it is, beside others and its floor; tables, and bench/speed.json
# make gpu     all that a machine with a GPU is to show, in ten minutes; tables, and gpu/gpu.json
# make gpu-pack      the packages that such a machine lacks, to be carried there in gpu-wheels
# make soak    ninety minutes of live clicks with everything on; a table (SOAK='--minutes 5')
# make golden  results of the commands beside those kept in tests/golden, to the last bit
# make lint    ruff, mypy, codespell        make format  put the sources in their format
# make docs    the documentation as a site, in site/; make docs-serve shows it while it is edited
# make links   ask every address outside that the pages link to, whether it is there
# make package the sdist and the wheel, checked, in dist/
# make sbom    what an installation of that wheel holds, as CycloneDX    make sizes  and its size
# make demo    the main job on a simulated shop; results in demo/
# make clean   remove what the other targets made, all but .venv

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
STRICT := --no-build-isolation --config-settings editable_mode=strict

# A strict editable install links file by file: edits show at once, but after a file is added or
# removed the links must be made anew.
SOURCES := $(sort $(shell find connectors models package stream -type f ! -name '*.pyc'))

COMPILE := from nextclick.stream.config.run import RunConfig; \
	from nextclick.stream.serving.run import compile_loops; compile_loops(RunConfig())

# Extras that only these targets need are installed when one is first made.
export NO_MKDOCS_2_WARNING = 1

.PHONY: setup test test-noida slow soak golden bench gpu gpu-pack lint format demo clean \
	checks docs docs-serve links package sbom sizes

setup: .venv/dependencies
	@if [ ! -d build ] || [ "$$(cat .venv/sources 2>/dev/null)" != "$(SOURCES)" ]; then \
		echo "Installing nextclick" && \
		$(PIP) --no-deps $(STRICT) --editable . && \
		echo "$(SOURCES)" > .venv/sources; \
	fi

.venv/dependencies: pyproject.toml setup.py constraints.txt
	@$(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
			echo "nextclick needs Python 3.11 or newer, and '$(PYTHON)' is not:" \
				"try 'make setup PYTHON=python3.11'." >&2; exit 1; }; \
		$(PYTHON) -m venv --clear .venv; }
	@echo "Installing the dependencies into .venv"
	@$(PIP) setuptools
	@$(PIP) $(STRICT) --editable '.[dev]'
	@echo "$(SOURCES)" > .venv/sources
	@touch $@

# Three workers for two cores: the tests that use a Kafka broker mostly wait. The loops are compiled
# beside the first tests, once for all workers.
test: setup
	$(BIN)/python -c '$(COMPILE)' & $(BIN)/python -m pytest -n 3 --dist loadgroup

test-noida: setup
	NEXTCLICK_TEST_KAFKA=noida $(BIN)/python -m pytest -m 'broker and not slow'

slow: setup
	$(BIN)/python -m pytest -m slow --timeout 3600

# benchmarks.soak.day is the other one: a day of 50 million clicks, as fast as it can.
soak: setup
	$(BIN)/python -m benchmarks.soak.live $(SOAK)

# RENEW=1 writes the file anew; GOLDEN='--part simulated', '--logs FOLDER', '--only TEXT', '--keep FOLDER'.
golden: setup
	$(BIN)/python -m tests.golden $(if $(RENEW),--renew) $(GOLDEN)

# BENCH='--device cuda' and the like; docs/results/speed.md says how to give it the peers.
bench: setup
	$(BIN)/python -m benchmarks.speed.bench --json bench/speed.json $(BENCH)

# GPU='--json FILE', '--official DIR', '--parts speed,serving'; needs no setup and no network.
gpu:
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) -m benchmarks.gpu $(GPU)

gpu-pack:
	@$(PYTHON) -m benchmarks.gpu --pack $(or $(GPU_PYTHON),3.12)

.venv/checks .venv/docs .venv/release: .venv/%: .venv/dependencies
	@echo "Installing the extra $*"
	@$(PIP) $(STRICT) --editable '.[dev,$*]'
	@touch $@

# What some tests need and are skipped without; .ci/run has it.
checks: setup .venv/checks

docs: setup .venv/docs
	$(BIN)/mkdocs build --quiet --strict

docs-serve: setup .venv/docs
	$(BIN)/mkdocs serve

links: setup
	$(BIN)/python -m tools.links

package: setup .venv/release
	rm -rf dist build/lib build/bdist*
	$(BIN)/python -m build --no-isolation >/dev/null
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

dist/sbom: package
	$(PYTHON) -m venv --clear $@
	$@/bin/python -m pip --disable-pip-version-check install --quiet \
		--constraint constraints.txt "$$(echo dist/*.whl)[avro,http,onnx,protobuf,serve]"

sbom: dist/sbom
	$(BIN)/cyclonedx-py environment --output-reproducible \
		--output-file dist/nextclick.cdx.json $</bin/python

sizes: package
	$(BIN)/python -m tools.sizes dist/*.whl

lint: setup
	$(BIN)/codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: setup
	$(BIN)/nextclick run sim:clicks=60000 --snapshots demo/snapshots --fresh \
		--report demo/report.html --json demo/result.json

# The installed package links into build/: .venv/sources goes with it, so that setup makes both anew.
clean:
	rm -rf build demo bench dist gpu site nextclick.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f .venv/sources
	find connectors models package stream tests -name __pycache__ -type d -prune -exec rm -rf {} +
