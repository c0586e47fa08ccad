# make book    export, run and render; prints the page to open
# make lab     your own copies of the chapters in JupyterLab, to run and to change
# make edit    for authors: the chapters themselves in JupyterLab
# make check   what has changed since it was last found right: a minute
# make test    everything that CI checks
# make export  the library from the notebooks, and the notebooks without outputs
# make format  lint and format, then export
# make pdf, make epub, make zip    the book in one file, made from the site
# make bench   the library against its peers, anew
# make clean   remove what the others made
#
# Each target sets itself up in .venv, and again only when the pins or the requirements
# have changed.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: book pdf epub zip check test bench lab edit export format clean
.NOTPARALLEL:

book: $(READY)
	@$(BIN)/python scripts/build_book.py

pdf epub zip: $(READY)
	@$(BIN)/python scripts/build_book.py --format $@

check: $(READY)
	@$(BIN)/python scripts/check.py

test: $(READY)
	@$(BIN)/python scripts/check.py --all

# Half an hour of an idle machine; then rebuild the page on speed, which is made from
# benchmarks/results.json.
bench: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python benchmarks/everything.py

lab: $(READY)
	@$(BIN)/python scripts/build_book.py
	@$(BIN)/python scripts/reader_copies.py
	$(BIN)/jupyter lab --notebook-dir _build/lab --LabApp.default_url=/lab/tree/index.ipynb

edit: $(READY)
	$(BIN)/python scripts/build_book.py --export-only
	$(BIN)/jupyter lab --notebook-dir nbs

# What to run before a commit.
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
