"""Look only down, and who may do what: docs/architecture.md as data."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "charlm"

# From top to bottom. Modules of one line do not see each other; a folder is one module, and its files may.
LAYERS = """
__main__
cli
jobs
runs
families
inspecting
embedding
training
appraising
composing
reranking
filling
scoring sampling
models
ngrams
poems
text nbest
tokenizers
config tensorfiles
jsonfiles
storage memory energy choices shapes
errors
"""
HEIGHT = {name: -row for row, line in enumerate(LAYERS.split("\n")) for name in line.split()}

# Rooms whose files stand in the order of the data flow: a file imports only from files before it.
STEPS = {
    "storage": "places contents whole",
    "config": "knobs text networks models training embedding sampling evaluation poems reranking inspecting"
    " filling settings",
    "text": "decoding reader sources files survey habits numerals vocab codec census prefixes mismatch corpus",
    "ngrams": "columns counts counting sifting adding tables search countfiles smoothing estimation pruning coding"
    " learning arpa",
    "ngrams/arpa": "layout flaws lines section reading writing words",
    "scoring": "score reading prefixes evaluating",
    "training": "batches feeding ahead schedules journal standing ranks devices texts ceiling crew pacing optimizers"
    " averages learner keeping gradient trial searching em",
    "embedding": "vectors formats frequencies counted compiled batched skipgram neighbours plane",
    "inspecting": "positions bands stepping gradients spectra radius planted memory gates features probes neurons"
    " pictures pages",
    "reranking": "error_rates weighing syllables listing deciding findings judging problem lines searching likelihood"
    " tempering validating tuning comparing reporting",
    "poems": "sounds form parsing judgement aligning rhyming regulated checking mending",
    "appraising": "verses keeping quality distinguishing",
    "composing": "inventory metre ways automaton demands novelty annotating themes telling writing drafting replacing",
    "filling": "blanks likelihood searching both whole measuring",
    "runs": "layout writing journal viewing run cloze checking curves",
}
CHOICES = ["tokenizers", "nbest", "models", "models/cells", "families", "jobs", "cli"]
TORCH = {
    "appraising",
    "composing",
    "inspecting",
    "filling",
    "embedding",
    "shapes",
    "tensorfiles",
    "models",
    "scoring",
    "sampling",
    "training",
    "families",
    "runs",
    "jobs",
}
MAY_IMPORT = {
    "torch": TORCH,
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


def room_of(path: Path) -> str:
    return str(path.parent.relative_to(PACKAGE))


@pytest.mark.parametrize("room", STEPS)
def test_a_room_of_steps_is_read_in_order(room):
    order = STEPS[room].split()
    inside = {
        path.stem for path in (PACKAGE / room).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert inside - {"__init__"} == set(order)
    dotted = "charlm." + room.replace("/", ".")
    for path in sorted((PACKAGE / room).rglob("*.py")):
        mine = path.relative_to(PACKAGE / room).parts[0].removesuffix(".py")
        if mine == "__init__":
            continue
        for name in imports(path):
            other = name.removeprefix(dotted + ".").split(".")[0] if name.startswith(dotted + ".") else None
            if other in order and other != mine:
                assert order.index(other) < order.index(mine), f"{room}/{mine} imports {other}, a later step"


@pytest.mark.parametrize("room", [*STEPS, *CHOICES])
def test_a_room_says_what_it_is(room):
    said = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text("utf-8"))) or ""
    assert said.startswith("STEPS: " if room in STEPS else "CHOICE: "), said[:40]


def test_a_command_has_one_file_of_the_same_name_as_its_job():
    jobs, commands = ({path.stem for path in (PACKAGE / room).glob("[!_]*.py")} for room in ("jobs", "cli"))
    shown = {
        "app",
        "commands",
        "completion",
        "console",
        "options",
        "grid",
        "inputs",
        "precision",
        "verdicts",
        "htmlpage",
        "charts",
    }  # how commands take and show things
    assert commands - jobs == shown | {"run"}  # a run needs no job
    parts = {
        "watching",
        "prepare",
        "annotate",
        "settle",
        "beginning",
        "trial",
        "describe",
        "adapt",
        "record",
        "lists",
        "named",
        "remember",
        "rerank",
        "treatment",
        "weights_file",
        "panels",
        "sharpen",
    }  # of several jobs, or of one
    assert jobs - commands == parts


def test_who_writes_verse_and_who_judges_it_share_forms_and_sounds_alone():
    for path in (PACKAGE / "composing").glob("*.py"):
        shared = {name.split(".")[2] for name in imports(path) if name.startswith("charlm.poems.")}
        assert shared <= {"form", "sounds"}, path


def test_every_room_is_of_a_known_kind():
    rooms = {room_of(path) for path in SOURCES} - {"."}
    assert rooms == {*STEPS, *CHOICES}


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


def test_jieba_is_imported_inside_a_function_of_words_alone():
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        if "jieba" in {name.split(".")[0] for name in imports(path)}:
            assert path == PACKAGE / "tokenizers" / "words.py"
        outside = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert "jieba" not in ast.unparse(ast.Module(outside, [])), path


def test_only_places_and_ranks_read_the_environment():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"):
                assert path in (PACKAGE / "storage" / "places.py", PACKAGE / "training" / "ranks.py"), path


def test_files_that_comments_and_documents_name_are_there():
    root = PACKAGE.parent
    there = [f"/{path.relative_to(root)}" for path in (*PACKAGE.rglob("*.py"), *root.glob("[td]*s/**/*.py"))]
    readers = [*SOURCES, root / "docs" / "architecture.md", root / "CONTRIBUTING.md", *root.glob("docs/decisions/*.md")]
    for path in readers:
        for name in re.findall(r"[\w/]+\.py\b", path.read_text("utf-8")):
            planned = name.endswith("/x.py") or name == "utils.py"  # for what is yet to be written, and what never is
            assert planned or any(file.endswith(f"/{name}") for file in there), f"{path} names {name}"


def test_the_tree_of_errors_names_them_all():
    source = (PACKAGE / "errors.py").read_text("utf-8")
    classes = {node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    tree = (ast.get_docstring(ast.parse(source)) or "").split("`cli/app.py`")[0]
    assert set(re.findall(r"^\W*([A-Z]\w+)  ", tree, re.MULTILINE)) == classes


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path):
    calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


def test_nobody_is_told_in_one_place():
    """A function of one argument that does nothing is `nobody`, wherever it is needed."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            body = [node.body] if isinstance(node, ast.Lambda) else getattr(node, "body", [])
            takes_one = isinstance(node, ast.Lambda | ast.FunctionDef) and [a.arg for a in node.args.args] == ["_"]
            if takes_one and len(body) == 1 and isinstance(getattr(body[0], "value", body[0]), ast.Constant):
                found.append(getattr(node, "name", "lambda"))
    assert found == ["nobody"]


def test_every_module_stands_in_the_map():
    assert {module_of(path) for path in SOURCES} == set(HEIGHT)


def test_the_map_in_the_documentation_is_this_one():
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text("utf-8")
    block = text.split("## Layers")[1].split("```")[1]
    drawn = [set(line.split("  ")[0].replace("·", " ").split()) for line in block.strip().splitlines()]
    assert drawn == [set(line.split()) - {"__main__"} for line in LAYERS.strip().splitlines()[1:]]


def test_the_map_at_the_door_names_every_room_and_its_kind():
    door = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))) or ""
    block = door.split("The map")[1].split("From Python")[0]
    told = {line.split()[0].strip("/"): line.split()[1] for line in block.splitlines() if "/  " in line}
    kinds = {**dict.fromkeys(STEPS, "STEPS"), **dict.fromkeys(CHOICES, "CHOICE")}
    assert told == {room: kind for room, kind in kinds.items() if "/" not in room}
    rest = {name.strip(",") for line in block.splitlines() if line.strip() for name in line.split()[:7]}
    assert set(HEIGHT) - {"__main__"} - set(told) <= rest


KINDS = ("Callable[", "Literal[", "Mapping[")


def meanings(path: Path) -> set[str]:
    """The classes and kinds of functions that a file defines."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and ast.unparse(node.value or node).startswith(KINDS):
            found.add(ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0]))
    return found


def test_a_name_has_one_meaning_in_the_whole_house():
    defined = [(name, path) for path in SOURCES for name in meanings(path) if not name.startswith("_")]
    where: dict[str, list[Path]] = {}
    for name, path in defined:
        where.setdefault(name, []).append(path)
    assert {name: paths for name, paths in where.items() if len(paths) > 1} == {}
    assert {"Run", "Weights", "Note", "Part", "OnEvent"} <= set(where)  # they are looked at


def test_no_line_loads_a_pickle():
    for path in SOURCES:
        assert "torch.load(" not in path.read_text("utf-8"), path
