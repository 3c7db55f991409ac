"""Look only down, and who may do what: docs/architecture.md as data."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "charlm"

# From top to bottom. Modules of one line do not see each other; a folder is one module, and its files may.
LAYERS = """
__main__
cli
estimating
pipeline
blending
tallying exchanging
journaling preparing evaluation rescoring
runs
families
training curves
reranking
scoring sampling
models
batches ngrams
corpus census
codec survey
vocab
tokenizers text nbest error_rates
config tensorfiles decoding
storage choices shapes
errors
"""
HEIGHT = {name: -row for row, line in enumerate(LAYERS.split("\n")) for name in line.split()}
MAY_IMPORT = {
    "torch": {
        *("shapes", "tensorfiles", "batches", "models", "scoring", "sampling", "training", "families", "runs"),
        "journaling",
        *("pipeline", "estimating", "exchanging", "blending"),
    },
    "jieba": {"tokenizers"},
    "typer": {"cli"},
    "rich": {"cli"},
    "click": set(),
    "pickle": set(),
}
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Dotted names of everything a file imports, inside functions too, type-checking blocks as well."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_looks_only_down(path):
    mine = module_of(path)
    for name in imports(path):
        if name.startswith("charlm."):
            other = name.split(".")[1]
            if other == mine or other not in HEIGHT:  # the package's own names, such as its version
                continue
            assert HEIGHT[other] < HEIGHT[mine], f"{mine} imports {other}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_privileges_stay_where_they_belong(path):
    for name in imports(path):
        allowed = MAY_IMPORT.get(name.split(".")[0])
        assert allowed is None or module_of(path) in allowed, f"{path} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path):
    calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


def test_every_module_stands_in_the_map():
    assert {module_of(path) for path in SOURCES} == set(HEIGHT)


def test_the_map_in_the_documentation_is_this_one():
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text("utf-8")
    block = text.split("## Layers")[1].split("```")[1]
    drawn = [set(line.split("  ")[0].replace("·", " ").split()) for line in block.strip().splitlines()]
    assert drawn == [set(line.split()) - {"__main__"} for line in LAYERS.strip().splitlines()[1:]]


def test_no_line_loads_a_pickle():
    for path in SOURCES:
        assert "torch.load(" not in path.read_text("utf-8"), path
