# make demo    plans, trains and measures a bundle for the built-in sample, segments scans, and ends with the page of results
# make test    runs the tests
# make smoke   runs a few quick tests of every room
# Each first makes the environment in .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BUNDLES := $(wildcard bundles/*)

# Without a GPU, PyTorch's CPU build is installed if pip finds one. `make env TORCH=torch==2.13.0` installs the build of
# the package index, which on Linux is the one for NVIDIA GPUs.
TORCH_VERSION := $(shell sed -n 's/^torch==//p' constraints.txt)
TORCHVISION_VERSION := 0.28.0
TORCH ?=

.PHONY: env viewer demo test test-slow smoke test-elsewhere test-gpu test-long test-export wheel test-wheel test-monai-label test-nnunet test-mlflow test-public soak soak-quick artefact lint format types render render-check audit licences clean

env: $(VENV)/.complete

# pip's output goes to a log, which is shown if pip fails.
PIP_LOG := $(VENV)/install.log
PIP := $(BIN)/pip install --disable-pip-version-check -q -c constraints.txt
SHOW_LOG := { cat $(PIP_LOG); exit 1; }

$(VENV)/.complete: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $$($(PYTHON) --version) is too old; LightSkip needs 3.11 or later: make PYTHON=python3.11 ..."; exit 1; }
	@echo "making the environment in $(VENV): some 4 GB, 2 to 5 minutes, once"
	@$(PYTHON) -m venv $(VENV)
	@if [ -n "$(TORCH)" ]; then \
	  $(PIP) "$(TORCH)" >$(PIP_LOG) 2>&1 || $(SHOW_LOG); \
	elif command -v nvidia-smi >/dev/null 2>&1; then \
	  $(PIP) "torch==$(TORCH_VERSION)" >$(PIP_LOG) 2>&1 || $(SHOW_LOG); \
	elif ! $(PIP) "torch==$(TORCH_VERSION)+cpu" >$(PIP_LOG) 2>&1; then \
	  echo "pip finds no CPU build of PyTorch; name its index in PIP_EXTRA_INDEX_URL to save the CUDA download"; \
	  $(PIP) "torch==$(TORCH_VERSION)" >$(PIP_LOG) 2>&1 || $(SHOW_LOG); \
	fi
	@$(PIP) -e ".[dev,report,dicom,runtime,quantize,export,zarr,study]" >$(PIP_LOG) 2>&1 || $(SHOW_LOG)
	@$(BIN)/python -m pipeline.report.viewer || true
	@touch $@

# The 3D viewer of reports, from its npm package: make env gets it, too, and does without it if there is no npm.
viewer: env
	@$(BIN)/python -m pipeline.report.viewer

DEMO := demo
ARTEFACT := build/artefact

demo: env
	rm -rf $(DEMO)
	$(BIN)/lightskip sample $(DEMO)/data
# One thread: two that must share their cores with other programs wait for each other, and three minutes may be too few.
	OMP_NUM_THREADS=1 $(BIN)/lightskip fit $(DEMO)/data -o $(DEMO)/run --hours 0.05
	$(BIN)/lightskip predict $(DEMO)/run/bundle $(DEMO)/data/imagesTs -o $(DEMO)/predictions --statistics --preview
	$(BIN)/lightskip curve $(DEMO)/run/bundle/runs/fold_0/history.csv -o $(DEMO)/curve.png
	$(BIN)/lightskip picture $(DEMO)/data/imagesTs/scan_000.nii.gz -o $(DEMO)/scan_000.png \
	  --labels "prediction=$(DEMO)/predictions/scan_000_seg.nii.gz" "truth=$(DEMO)/data/labelsTs/scan_000.nii.gz" \
	  --names ellipsoid shell tube
	@echo
	@echo "Done. In $(DEMO)/:"
	@echo "  run/check/check.html                        what the check of the dataset found"
	@echo "  run/bundle/                                 the bundle: plan, configs, trained network, evaluation, label maps"
	@echo "  predictions/*_seg.nii.gz, *_preview.png     label maps of other scans, each in its scan's grid, and pictures"
	@echo "  predictions/statistics.csv, report.json     volumes, surfaces, intensities; settings and times"
	@echo "  curve.png, scan_000.png                     the training's curve, a prediction next to the truth"
	@echo
	@echo "The page to look at: $(abspath $(DEMO))/run/report.html"

# Tests run side by side, one process per core and one thread per process. JOBS=1 runs them in one process.
JOBS ?= auto
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(JOBS) --maxprocesses 8 --dist loadscope --no-loadscope-reorder
MOST := -m "not long and not export and not wheel and not public"
QUICK := -m "not slow and not long and not export and not wheel and not public"

test: env
	$(PYTEST) $(QUICK)

# Tests that take more than a second with all their parameters: trainings, several processes, benchmarks. `make test` has the others.
test-slow: env
	$(PYTEST) -m "slow and not long and not export and not wheel and not public"

# Each line of the list is a file of tests, or one test.
smoke: env
	$(PYTEST) $(QUICK) @tests/smoke.txt

# The numerical tests, as on a machine with only AVX2 and without the developers' folder of real scans.
ELSEWHERE := $(addprefix tests/,bundle/planning bundles evaluation inference labelmaps networks prediction training)
AVX2 := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 OPENBLAS_CORETYPE=Haswell

test-elsewhere: env
	$(AVX2) LIGHTSKIP_SHARED=/nowhere $(PYTEST) $(MOST) $(ELSEWHERE)
# oneDNN's memory without AMX, which processors have since 2023.
	ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 $(PYTEST) -n 0 tests/bundle/planning/test_memory.py

# On a machine with an NVIDIA GPU. Elsewhere these tests are skipped.
test-gpu: env
	$(BIN)/pytest -m gpu $(foreach room,networks inference prediction bundles,tests/$(room)/test_cuda.py)

test-long: env
	$(BIN)/pytest -m long

# Exported bundles in other programs: MONAI's commands, federated learning, the zoo's unit test.
test-export: env
	$(BIN)/pytest -m "export and not long" tests/export

# dist/lightskip-VERSION-py3-none-any.whl and the source distribution.
wheel: env
	$(BIN)/python -m hatchling build

# The source distribution, the wheel that is built from it, and a new user's way in an environment that has only this wheel
# and the packages of .venv: neither the checkout nor the network is used.
test-wheel: env
	$(BIN)/pytest -q -m wheel tests/wheel

# MONAI Label serves and trains an exported bundle, in its own environment because it needs NumPy below 2. PyTorch and
# torchvision must come from the same index: builds of two indexes do not load each other.
LABEL_VENV := .venv-monai-label
LABEL := build/monai_label

$(LABEL_VENV)/.complete: tests/monai_label/requirements.txt constraints.txt
	rm -rf $(LABEL_VENV)
	$(PYTHON) -m venv $(LABEL_VENV)
	@if command -v nvidia-smi >/dev/null 2>&1 || ! $(LABEL_VENV)/bin/pip install -q \
	  "torch==$(TORCH_VERSION)+cpu" "torchvision==$(TORCHVISION_VERSION)+cpu" 2>/dev/null; then \
	  echo "PyTorch and torchvision with CUDA, some 3 GB: an index with CPU builds of both in PIP_EXTRA_INDEX_URL saves them"; \
	  $(LABEL_VENV)/bin/pip install -q "torch===$(TORCH_VERSION)" "torchvision===$(TORCHVISION_VERSION)"; \
	fi
	$(LABEL_VENV)/bin/pip install -q -r tests/monai_label/requirements.txt
	@touch $@

test-monai-label: env $(LABEL_VENV)/.complete
	rm -rf $(LABEL)
	$(BIN)/lightskip export bundles/hippocampus_mri -o $(LABEL) --without ts pt2 onnx zip
	$(BIN)/lightskip sample $(LABEL)/sample --cases 4
	$(LABEL_VENV)/bin/python tests/monai_label/serve.py $(LABEL)/hippocampus_mri $(LABEL)/sample/imagesTr $(LABEL)/run

# nnU-Net trains and applies LightSkip's networks, in its own environment because its dependencies are many. The comment
# on PyTorch and torchvision above is valid here, too, but tests/nnunet does without torchvision's operators.
NNUNET_VENV := .venv-nnunet

$(NNUNET_VENV)/.complete: tests/nnunet/requirements.txt pyproject.toml constraints.txt
	rm -rf $(NNUNET_VENV)
	$(PYTHON) -m venv $(NNUNET_VENV)
	@if command -v nvidia-smi >/dev/null 2>&1 || { ! $(NNUNET_VENV)/bin/pip install -q \
	  "torch==$(TORCH_VERSION)+cpu" "torchvision==$(TORCHVISION_VERSION)+cpu" 2>/dev/null && \
	  ! $(NNUNET_VENV)/bin/pip install -q "torch==$(TORCH_VERSION)+cpu" 2>/dev/null; }; then \
	  $(NNUNET_VENV)/bin/pip install -q "torch===$(TORCH_VERSION)" "torchvision===$(TORCHVISION_VERSION)"; \
	fi
	$(NNUNET_VENV)/bin/pip install -q -c constraints.txt -r tests/nnunet/requirements.txt -e .
	@touch $@

test-nnunet: $(NNUNET_VENV)/.complete
	OMP_NUM_THREADS=1 $(NNUNET_VENV)/bin/python -m pytest -q tests/nnunet tests/benchmarks/test_nnunet_predict.py

# Trainings in a real MLflow, in an environment that adds 35 packages (some 130 MB) to that of `make env`.
MLFLOW_VENV := .venv-mlflow
SITE := import site; print(site.getsitepackages()[0])

$(MLFLOW_VENV)/.complete: $(VENV)/.complete pyproject.toml constraints.txt
	rm -rf $(MLFLOW_VENV)
	$(BIN)/python -m venv $(MLFLOW_VENV)
	$(BIN)/python -c "$(SITE)" > "$$($(MLFLOW_VENV)/bin/python -c "$(SITE)")/environment.pth"
	$(MLFLOW_VENV)/bin/pip install -q -c constraints.txt -e ".[mlflow]"
	@touch $@

test-mlflow: env $(MLFLOW_VENV)/.complete
	OMP_NUM_THREADS=1 $(MLFLOW_VENV)/bin/python -m pytest -q $(wildcard tests/*/test_*tracking.py) tests/bundles/test_mlflow.py

# The test files inside pydicom's and nibabel's packages. They may change with these packages, so it is not in CI.
test-public: env
	$(PYTEST) -m public tests/public

# The real commands are killed, run on full disks, lose their workers, and read damaged files: docs/reliability.md.
SOAK := build/soak
SEED ?= 0

soak: env
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults.soak -o $(SOAK) --seed $(SEED)

soak-quick: env
	rm -rf $(SOAK)/quick
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults.soak --quick -o $(SOAK)/quick

# The files of a release: the exported bundle, its zip, and their sizes and loading times.
artefact: env
	rm -rf $(ARTEFACT)
	$(BIN)/lightskip export bundles/hippocampus_mri -o $(ARTEFACT)
	$(BIN)/python -W ignore benchmarks/exported.py $(ARTEFACT)/hippocampus_mri -o $(ARTEFACT)/size_and_load_time.json

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: env
	$(BIN)/mypy

render: env
	$(BIN)/lightskip render $(BUNDLES)

render-check: env
	$(BIN)/lightskip render --check $(BUNDLES)

# Known vulnerabilities of the versions in constraints.txt, by pip-audit in an environment of its own. "Error 3" means
# that packages were not checked, such as without a network: that is no pass.
AUDIT_VENV := .venv-audit

$(AUDIT_VENV)/.complete:
	rm -rf $(AUDIT_VENV)
	$(PYTHON) -m venv $(AUDIT_VENV)
	$(AUDIT_VENV)/bin/pip install -q pip-audit
	@touch $@

audit: $(AUDIT_VENV)/.complete
	$(AUDIT_VENV)/bin/python .ci/audit.py constraints.txt

# docs/licences.md, from the metadata of the installed packages; fails at a copyleft, unknown or missing licence.
licences: env
	$(BIN)/python docs/licences.py

clean:
	rm -rf $(VENV) $(AUDIT_VENV) $(LABEL_VENV) $(NNUNET_VENV) $(MLFLOW_VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache build
