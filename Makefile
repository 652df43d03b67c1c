# Graft's commands. Works with GNU make 3.81 (macOS) and a POSIX shell; everything longer than a line is in scripts/.
#
#   PYTHON=/path/to/python   make .venv with this Python instead of the first fitting one
#   PORT=8600                serve on this port instead of the first free one from 8501
#   GPU=1                    also install NVIDIA's CUDA libraries (Linux; once is enough)
#   ARGS="tests/test_x.py"   what to hand to pytest
#   WORKERS=1                how many files of tests run at once; by default one for each core, at most 4

REQUIREMENTS = $(if $(GPU),requirements-gpu.txt,requirements.txt)
IN_VENV = .venv/bin/python
# A file's tests share what is slow to start, so a file stays with one worker. Each worker may start a TensorFlow of 1 GB.
AT_ONCE = --dist loadfile -n $(or $(WORKERS),logical --maxprocesses 4)

.DEFAULT_GOAL := help
.PHONY: help run demo test test-slow check screenshots clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: ## Install what is missing and start Graft on 127.0.0.1
	@sh scripts/python.sh scripts/environment.py $(REQUIREMENTS)
	@$(IN_VENV) scripts/serve.py

demo: ## Show one run's model to others: RUN=<id>, and HOST=<name or address> beyond this machine
	@sh scripts/python.sh scripts/environment.py $(REQUIREMENTS)
	@RUN="$(RUN)" HOST="$(HOST)" $(IN_VENV) -m scripts.demo

test: ## Run the tests
	@sh scripts/python.sh scripts/environment.py requirements-dev.txt
	@$(IN_VENV) -m pytest -m "not slow" $(AT_ONCE) $(ARGS)

test-slow: ## Run the tests that take minutes
	@sh scripts/python.sh scripts/environment.py requirements-dev.txt
	@$(IN_VENV) -m pytest -m slow $(ARGS)

check: ## Check format, lint, types and import rules
	@sh scripts/python.sh scripts/environment.py requirements-dev.txt
	@$(IN_VENV) -m ruff format --check .
	@$(IN_VENV) -m ruff check .
	@$(IN_VENV) -m mypy
	@$(IN_VENV) -m pytest -q tests/test_rooms.py tests/test_requirements.py

screenshots: ## Make the README's pictures by driving the real app
	@sh scripts/python.sh scripts/environment.py requirements-dev.txt
	@$(IN_VENV) -m scripts.screenshots

clean: ## Remove .venv and all caches; datasets and runs stay
	@rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
