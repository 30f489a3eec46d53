# `make demo` and `make test` set up everything they need below .venv; nothing is installed elsewhere.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
MINUTES := 60
# uv leaves compiling to the first import, which has to be kept: torch's takes half a minute.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install
# As many targets at a time as there are processors, and the output of each in one piece.
AT_ONCE := $(MAKE) --jobs $(shell nproc 2>/dev/null || echo 2) $(if $(filter output-sync,$(.FEATURES)),--output-sync)
# The unit tests' sessions of nox, each a target.
SESSIONS = $$($(BIN)/nox --session unit lowest --list --json \
	| $(BIN)/python -c 'import json, sys; print(*("session-" + each["session"] for each in json.load(sys.stdin)))')

.PHONY: aws-check help demo demo-lab test check unit integration gpu screenshots proof soak docs docs-serve release-check bench-capture bench-server bench-build bench-loop bench-models bench-gpu format clean

help:
	@echo "make demo      run the quickstart notebook and show what it printed"
	@echo "make demo-lab  open the quickstart in JupyterLab"
	@echo "make test      check, then all tests whose parts are present"
	@echo "make check     ruff, mypy, import-linter, deptry, and the schemas of the workflows"
	@echo "make release-check  build and check a release, and run the quickstart with its wheel"
	@echo "make unit      unit tests on every Python from 3.10 that is present, and with the oldest dependencies"
	@echo "make integration  the tests against real parts"
	@echo "make gpu       the tests that need an NVIDIA GPU, and a torch that uses it"
	@echo "make aws-check YES=1  check on your AWS account what this package takes for granted (less than 0.25 dollars)"
	@echo "make docs      build the documentation site into build/site; a broken link fails"
	@echo "make docs-serve  show the site at http://127.0.0.1:8000 while you write"
	@echo "make screenshots  take the pictures of docs/images with a real browser"
	@echo "make proof     the large proofs, of which make test runs a sample (hours)"
	@echo "make soak      an hour of load on the model server with its workers killed (MINUTES=60)"
	@echo "make bench-capture  measure what recording cells and making a module cost"
	@echo "make bench-server  measure the model server beside its peers"
	@echo "make bench-build  measure both builders side by side (needs an hour or so)"
	@echo "make bench-loop  measure how soon a deployment follows a changed cell (needs the parts of tests/aws)"
	@echo "make bench-models  measure the example notebooks' models beside a peer"
	@echo "make bench-gpu  measure the model server beside its peers on an NVIDIA GPU"
	@echo "make format    let ruff format and fix the code"

$(BIN)/python:
	sh tools/make-venv $(VENV)
	$(PIP) --upgrade "pip>=25.1"

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) --editable ".[demo]"
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.demo | $(BIN)/python
	$(PIP) --editable . --group dev
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/python tools/run_notebook.py example_notebooks/01_quickstart.ipynb

demo-lab: $(VENV)/.demo
	$(BIN)/jupyter lab example_notebooks/01_quickstart.ipynb

# Tests with real parts often wait (for Docker, a browser, a clock): the unit tests take the
# processors meanwhile, one session after the other, and show what they said when they end.
test: check
	@mkdir -p build
	{ nice -n 5 $(BIN)/nox --session unit lowest >build/unit.log 2>&1; code=$$?; cat build/unit.log; exit $$code; } & \
	units=$$!; $(MAKE) integration; code=$$?; wait $$units && exit $$code

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry sageturner_magic
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/idea.yml

unit: $(VENV)/.dev
	$(AT_ONCE) $(SESSIONS)

session-%: $(VENV)/.dev
	$(BIN)/nox --session $*

integration: $(VENV)/.dev
	$(BIN)/python -m pytest tests --ignore=tests/unit --ignore=tests/gpu --numprocesses 3 --dist loadscope --tb=short --durations=40

gpu: $(VENV)/.dev
	SAGETURNER_REQUIRE=gpu $(BIN)/python -m pytest tests/gpu

aws-check: $(VENV)/.dev
	$(BIN)/python -m sageturner_magic doctor --aws $(if $(YES),--yes)

# The notice of Material's next version is of no use to who builds the site.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-serve: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

# The wheel is installed alone: what the checkout has and the wheel has not is missed.
release-check: $(VENV)/.dev
	$(PIP) --group release
	rm -rf dist build/release
	$(BIN)/uv build --quiet --out-dir dist
	rm -f dist/.gitignore
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/sageturner schema > build/sageturner.schema.json
	$(BIN)/check-jsonschema --check-metaschema build/sageturner.schema.json
	$(BIN)/uv venv --quiet --seed --python $(BIN)/python build/release
	$(BIN)/uv pip install --quiet --python build/release/bin/python "$$(ls dist/*.whl)[demo]"
	cd build && release/bin/python -c 'import sageturner_magic as wheel; assert "build/release" in wheel.__file__'
	build/release/bin/python tools/run_notebook.py example_notebooks/01_quickstart.ipynb

screenshots: $(VENV)/.dev
	$(BIN)/python -m tests.browser.screenshots

proof: $(VENV)/.dev
	$(BIN)/python -m tests.integration.capture.proof --count 20000 --report docs/proof/capture.md
	$(BIN)/python -m tests.integration.image.layouts --report docs/proof/layout.md
	$(PIP) --group fuzz
	SAGETURNER_TEST_LOOP=asyncio $(BIN)/pytest -q tests/integration/server
	$(BIN)/python -m tests.integration.server.fuzz --keep tests/integration/server/fuzzed.jsonl
	$(BIN)/python -m tests.integration.server.proof --requests 100000 --minutes 5 --report docs/proof/server.md
	$(BIN)/python -m tests.aws.campaign --runs 20 --report docs/proof/aws.md

soak: $(VENV)/.dev
	$(BIN)/python -m tests.integration.server.proof --minutes $(MINUTES)

bench-capture: $(VENV)/.dev
	$(BIN)/python -m benchmarks.capture

bench-server: $(VENV)/.dev
	$(BIN)/python -m benchmarks.server

bench-build: $(VENV)/.dev
	$(BIN)/python -m benchmarks.build

bench-loop: $(VENV)/.dev
	$(BIN)/python -m benchmarks.loop

bench-models: $(VENV)/.dev
	$(BIN)/python -m benchmarks.models

bench-gpu: $(VENV)/.dev
	$(PIP) litserve torch transformers "uvicorn[standard]"
	$(BIN)/python -m benchmarks.gpu

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .nox .mypy_cache .ruff_cache .pytest_cache .hypothesis
