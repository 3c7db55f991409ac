# demo and test make the virtual environment themselves; nothing else has to be installed first.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo test check fix docs fuzz lessons bench bench-quality clean

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,plot,simplify]'
	touch $@

demo: .venv/ready
	$(BIN)/python examples/demo.py

test: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n auto -m 'not slow'

fix: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/ready
	$(BIN)/python docs/generate.py

# Damaged files without end: as many rounds as one likes, `make fuzz ROUNDS=10000`.
ROUNDS ?= 1000
fuzz: .venv/ready
	CHARLM_FUZZ_ROUNDS=$(ROUNDS) $(BIN)/pytest -q tests/test_damage.py

# Every command of docs/lessons in full, each timed; fails where one takes more than a minute.
lessons: .venv/ready
	$(BIN)/python docs/lessons/run.py

bench: .venv/ready
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/memory.py
	$(BIN)/python bench/speed.py
	$(BIN)/python bench/output.py
	$(BIN)/python bench/speed.py --busy

# Seconds against bits per character; hours of an idle machine. `make bench-quality TEXT=ptb`
TEXT ?= tang
bench-quality: .venv/ready
	$(BIN)/python bench/quality.py --text $(TEXT)

clean:
	rm -rf .venv build dist *.egg-info
