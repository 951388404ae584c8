# The way without ROS: everything goes into .venv, from Python wheels. Nothing needs to be exported.
#   make demo                              the simulated arm puts the blue cube on the plate
#   make demo ARGS="--task wipe_table"     arguments for `adp-ros demo`
#   make test ARGS="-k gate"               arguments for pytest
#   make policy OUT=runs/policy            trains the policy of the twin from nothing, for hours
#   make test PYTHON=python3.12            another interpreter (for a new .venv)
#   make setup GPU=yes                     torch with CUDA; default: if there is an NVIDIA driver

PYTHON ?= python3
ARGS ?=
OUT ?= runs/policy
GPU ?= auto
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest
AT_A_TIME := --numprocesses auto --maxprocesses 8 --dist loadfile

# What the installation is made from. Python sources are not: it is an editable one.
INTERFACES := $(wildcard msg/*.msg resource/kinova_msgs/*.* resource/kinova_msgs/*/*)
BUILD_FILES := CMakeLists.txt package.xml plugin.xml $(wildcard cmake/* resource/twin_policy/*)
TORCH = $(shell sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' setup.py)

# A shell inside another ROS-on-wheels environment hands these down; they belong to that one.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH PYTHONPATH AMENT_PREFIX_PATH

.DELETE_ON_ERROR:
.PHONY: help setup demo test test-fast test-colcon gpu-check policy lint format structure clean docs check-docs

help:
	@echo 'make demo    set up .venv, then let the simulated Jaco2 put the cube on the plate'
	@echo 'make test    set up .venv, then check style, types and all tests'
	@echo 'make test-fast  the tests that need neither ROS nor the twin, in a minute'
	@echo 'make test-colcon  build the workspace with colcon and run a scene from it'
	@echo 'make gpu-check  what only a machine with CUDA can prove, into runs/gpu_check.json'
	@echo 'make policy  train the policy of the twin from nothing into OUT=$(OUT), for hours'
	@echo 'make lint    style and types only'
	@echo 'make format  rewrite the sources in the common style'
	@echo 'make structure  modules, lines and imports between folders, with their limits'
	@echo 'make docs    build the documentation into build/docs; a warning is an error'
	@echo 'make check-docs  run the commands of README and docs/ as they are written'
	@echo 'make setup   set up .venv only'
	@echo 'make clean   remove .venv and everything that was built; runs/ stays'
	@echo 'Variables: PYTHON=$(PYTHON) (3.10 to 3.13), ARGS= (for demo: adp-ros demo, for test: pytest)'

demo: setup
	$(BIN)/adp-ros demo $(ARGS)

# All run, so that one failing does not hide another. The whole in two parts: what bears neighbours
# in as many processes as there are cores, then what runs in real time (test/tiers.py).
test: setup
	@status=0; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/mypy || status=1; \
	$(if $(ARGS), \
	  $(PYTEST) $(ARGS) || status=1;, \
	  $(PYTEST) $(AT_A_TIME) --tier beside || status=1; \
	  $(PYTEST) --tier live || status=1;) \
	exit $$status

# Neither ROS nor the twin.
test-fast: setup
	$(PYTEST) $(AT_A_TIME) --tier fast $(ARGS)

# The workspace of ROS 2, as a lab builds it; minutes. colcon wants another setuptools than pip.
test-colcon: setup
	test -x $(VENV)/colcon/bin/colcon || { $(PYTHON) -m venv $(VENV)/colcon && \
	  $(VENV)/colcon/bin/python -m pip install --quiet 'colcon-common-extensions>=0.3,<0.4'; }
	COLCON='$(abspath $(VENV))/colcon/bin/colcon' $(PYTEST) --tier colcon $(ARGS)

# On a machine with CUDA; at most 8 minutes, one JSON file.
gpu-check: setup
	$(BIN)/python .ci/gpu_check.py $(ARGS)

policy: setup
	PATH="$(abspath $(BIN)):$$PATH" sh config/train/twin_rounds.sh "$(OUT)"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs build/docs
	@echo 'open build/docs/index.html'

check-docs: setup
	$(BIN)/python test/docs/run_commands.py $(ARGS)

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

structure:
	@$(PYTHON) test/package_structure.py

setup: $(VENV)/made-package $(VENV)/made-egl

clean:
	rm -rf $(VENV) build install log *.egg-info adp_ros/msg adp_ros/*.so
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/made-python:
	@$(call check_tools)
	@echo 'setup: takes about 5 minutes and 2.4 GB in $(VENV); torch with CUDA needs more'
	@$(PYTHON) -m venv $(VENV) || { \
	  echo 'error: $(PYTHON) cannot make a virtual environment; install it: apt-get install python3-venv' >&2; \
	  rm -rf $(VENV); exit 2; }
	@touch $@

# pip first: the one that comes with Python 3.10 takes hours to resolve the rest. Then torch, alone,
# so that no other package chooses its version.
$(VENV)/made-requirements: setup.py pyproject.toml | $(VENV)/made-python
	$(PIP) install 'pip>=25,<30' 'setuptools>=70,<90'
	$(PIP) install $$($(PYTHON) .ci/torch_options.py '$(GPU)') '$(TORCH)'
	ADP_ROS_NO_MESSAGES=1 $(PIP) install --no-build-isolation -e '.[ros,build,test,docs]'
	@touch $@

$(VENV)/made-package: $(VENV)/made-requirements $(INTERFACES) $(BUILD_FILES)
	$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/made-egl: $(VENV)/made-requirements
	@$(call ensure_egl)
	@touch $@

define check_tools
  $(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
    echo 'error: PYTHON=$(PYTHON) must be Python 3.10 to 3.13; choose another: make PYTHON=python3.12 ...' >&2; exit 2; }; \
  test "$$(uname -sm)" = 'Linux x86_64' || { \
    echo "error: ROS 2 wheels exist for Linux x86_64 only, this is $$(uname -sm)" >&2; exit 2; }; \
  command -v c++ >/dev/null || { \
    echo 'error: no C++ compiler (c++) to build the messages; install one: apt-get install g++' >&2; exit 2; }; \
  $(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || { \
    echo 'error: $(PYTHON) lacks its C headers (Python.h); install them: apt-get install python3-dev' >&2; exit 2; }
endef

# The twin draws its camera through EGL, without display or GPU.
EGL_PACKAGES := libegl1 libegl-mesa0 libgl1-mesa-dri
EGL_TEST := MUJOCO_GL=egl $(BIN)/python -c 'import mujoco; mujoco.GLContext(16, 16).make_current()'
define ensure_egl
  $(EGL_TEST) >/dev/null 2>&1 && exit 0; \
  if [ "$$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root=sudo; else as_root=none; fi; \
  if [ "$$as_root" != none ] && command -v apt-get >/dev/null; then \
    echo 'EGL is missing: installing $(EGL_PACKAGES)'; \
    $$as_root apt-get -q update && $$as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get -q install -y --no-install-recommends $(EGL_PACKAGES); \
  fi; \
  $(EGL_TEST) || { \
    echo 'error: EGL does not work, so the twin has no camera; install: apt-get install $(EGL_PACKAGES)' >&2; exit 2; }
endef
