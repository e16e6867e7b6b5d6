# make app       opens a page in your browser that judges the videos you drop on it
# make demo      draws sample videos, extracts faces, trains, evaluates, judges one video
# make test      runs the tests: before you hand something in
# make thorough  runs those that make test leaves out: clusters, a browser, exports, other networks
# make quick     checks style and types and runs the fast tests: before each commit
# make coverage  says which lines the fast tests reach
# make lint      checks format, style and types
# make clean     removes what the demo made (.venv stays)

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# pip would compile all 12,000 modules of the packages, most of which nothing imports.
PIP_INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check --no-compile
# Python compiles what is imported. Some containers set this, and it would do so in every process.
unexport PYTHONDONTWRITEBYTECODE
# Four processes at most, because each holds TensorFlow.
PYTEST := $(RUN) -m pytest -n logical --maxprocesses 4 --dist loadfile

.PHONY: app demo test thorough quick coverage lint clean

app: $(VENV)/installed-app
	$(RUN) app.py || test $$? -eq 130  # Ctrl-C

demo: $(VENV)/installed
	$(RUN) sample_data.py --out demo/videos
	$(RUN) processing.py --location demo/videos --save-path demo/faces
	$(RUN) train.py --data demo/faces --out demo/run --frame-epochs 4 --epochs 1 --min-steps 20
	$(RUN) evaluate.py --model demo/run/model.keras --data demo/faces --out demo/report
	$(RUN) predict.py --model demo/run demo/videos/person_047.mp4
	@echo
	@echo "These metrics are for synthetic faces. They show that the pipeline works, and say nothing"
	@echo "about real deepfakes: for those, train on real videos (README, 'Train on your videos')."

test: $(VENV)/installed-dev
	$(PYTEST) -m "not thorough" --no-loadscope-reorder

thorough: $(VENV)/installed-dev
	$(PYTEST) -m thorough

quick: lint
	$(PYTEST) -m "not slow"

coverage: $(VENV)/installed-dev
	$(PYTEST) -m "not slow" --cov --cov-report=term:skip-covered

lint: $(VENV)/installed-dev
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

clean:
	rm -rf demo

$(VENV)/installed: requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else \
	    f"TensorFlow 2.21 needs Python 3.10 to 3.13, but $(PYTHON) is {v[0]}.{v[1]}; name another with: make PYTHON=python3.12")'
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(VENV)/installed-app: requirements-app.txt $(VENV)/installed
	$(PIP_INSTALL) -r requirements-app.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@
