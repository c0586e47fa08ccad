# make book   export, execute and render; prints the page to open        make test   everything that CI checks
# make lab    the chapters in JupyterLab, with live widgets              make bench  the library against its peers, anew
#                                                                        make clean  remove what the others made
# make pdf, make epub, make zip    the book in one file to take along, made from the site
#
# Each target sets itself up in .venv, and again only when the pins or the requirements have changed.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: book pdf epub zip test bench lab export format clean
.NOTPARALLEL:

book: $(READY)
	@$(BIN)/python scripts/build_book.py

pdf epub zip: $(READY)
	@$(BIN)/python scripts/build_book.py --format $@

# Two workers of one thread each: parallel notebooks and tests would otherwise fight over the cores.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: $(READY)
	$(BIN)/python scripts/check_notebooks.py
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/check_scripts.py
	TQDM_DISABLE=1 $(BIN)/nbdev_test --n_workers 2 --timing
	$(BIN)/pytest -n 2 --ignore tests/browser
	$(BIN)/python scripts/build_book.py --strict
	$(BIN)/python scripts/ensure_chromium.py
	$(BIN)/pytest -n 2 tests/browser

# Half an hour of an idle machine; then rebuild the page on speed, which is made from benchmarks/results.json.
bench: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python benchmarks/everything.py

lab: $(READY)
	$(BIN)/python scripts/build_book.py --export-only
	$(BIN)/jupyter lab --notebook-dir nbs

# The library from the notebooks, and the notebooks without outputs: what to run before a commit.
export: $(READY)
	$(BIN)/nbdev_export
	$(BIN)/nbdev_clean
	$(BIN)/python scripts/citation.py

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python scripts/check_scripts.py --fix
	$(MAKE) export

$(READY): constraints.txt pyproject.toml setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf _build .venv node_modules build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
