"""Damaged files of ours, at random: no command ends in anything but 0, 1 or 2, and what `check` accepts is usable.

Each round copies a sound folder, damages one file of it and gives it to the commands. CHARLM_FUZZ_ROUNDS makes the
campaign longer, CHARLM_FUZZ_SEED makes it another one; a failure names both numbers of its round.
"""

import json
import os
import random
import shutil
import traceback
from pathlib import Path

import pytest
from tiny import ARPA, LINES
from typer.testing import CliRunner

from charlm.cli.app import app

ROUNDS = int(os.environ.get("CHARLM_FUZZ_ROUNDS", "3"))  # for each kind of folder
SEED = int(os.environ.get("CHARLM_FUZZ_SEED", "1"))
SMALL = ("--hidden", "4", "--embedding", "4", "--layers", "1", "--batch-size", "2", "--window", "8")
STRANGE = [None, True, -1, 0, 3, 2.5, 1e308, 10**400, "", "x", "lstm", [], {}, [[]], {"x": 1}, float("nan")]
DEEP = "[" * 5000 + "]" * 5000
USES = ("info", "eval", "sample", "score")  # what can be done with every sound run


def charlm(*arguments: object) -> int:
    """Run a command in this process; its exit code. A bug keeps its traceback."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 1, 2), (arguments, result.exit_code)
    if result.exit_code:
        assert "Traceback" not in result.output, arguments
    return result.exit_code


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """One sound folder or file of each kind."""
    home = tmp_path_factory.mktemp("sound")
    text = home / "text.txt"
    text.write_text("\n".join(LINES * 4) + "\n", "utf-8")
    (home / "model.arpa").write_text(ARPA, "utf-8")
    lists = [{"id": str(n), "hyps": [{"text": line, "am": -1.5}, {"text": line[::-1], "am": -2.0}], "ref": line}
             for n, line in enumerate(LINES)]  # fmt: skip
    (home / "lists.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lists), "utf-8")
    train = ("train", text, "--valid", text, "--quiet", "--vocab", home / "vocab")
    counted = ("--model", "ngram", "--order", 3, "--smoothing", "witten-bell", "--quantize", 8)
    for command in (
        ("vocab", text, "-o", home / "vocab"),
        (*train, *SMALL, "--epochs", 1, "--run", home / "recurrent"),
        (*train, *counted, "--run", home / "ngram"),
        (*train, "--model", "unigram", "--run", home / "unigram"),
        ("run", "mix", home / "recurrent", home / "ngram", "--tune", text, "--run", home / "mixture", "--quiet"),
        ("ngram", "count", text, "--vocab", home / "vocab", "--order", 3, "-o", home / "counts", "--quiet"),
    ):
        assert charlm(*command) == 0, command
    return home


def spoil(path: Path, dice: random.Random) -> str:
    """Damage a file; says how."""
    whole = path.read_bytes()
    ways = ["cut", "flip", "hole"] + ["value"] * 6 * (path.suffix in (".json", ".jsonl", ".safetensors"))
    way = dice.choice(ways)
    place = dice.randrange(len(whole))
    if way == "value" and path.suffix == ".safetensors":
        path.write_bytes(_other_header(whole, dice))
    elif way == "value":
        lines = whole.decode().splitlines() if path.suffix == ".jsonl" else [whole.decode()]
        number = dice.randrange(len(lines))
        lines[number] = _other_value(lines[number], dice)
        path.write_text("\n".join(lines) + "\n", "utf-8")
    elif way == "cut":
        path.write_bytes(whole[:place])
    elif way == "hole":
        path.write_bytes(whole[:place] + whole[place + dice.randrange(1, 9) :])
    else:
        spoiled = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            spoiled[dice.randrange(len(spoiled))] ^= 1 << dice.randrange(8)
        path.write_bytes(bytes(spoiled))
    return f"{way} in {path.name}"


def _other_value(text: str, dice: random.Random) -> str:
    """A JSON text in which one value is of another kind, missing, or nested without end."""
    if dice.random() < 0.05:
        return DEEP
    holder = {"all": json.loads(text)}
    places = list(_places(holder))
    table, key = dice.choice(places)
    if isinstance(table, dict) and table is not holder and dice.random() < 0.3:
        del table[key]
    else:
        table[key] = dice.choice(STRANGE)
    return json.dumps(holder["all"], ensure_ascii=False)


def _places(table):
    for key, value in list(table.items() if isinstance(table, dict) else enumerate(table)):
        yield table, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _other_header(whole: bytes, dice: random.Random) -> bytes:
    """A file of tensors in which one of the facts, or of the shapes, is another."""
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    facts = header["__metadata__"]["charlm"]
    if dice.random() < 0.7:
        header["__metadata__"]["charlm"] = _other_value(facts, dice)
        text = json.dumps(header).encode()
    else:
        text = _other_value(json.dumps(header), dice).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + whole[8 + length :]


def commands_of(kind: str, path: Path, home: Path, text: Path) -> dict[str, tuple]:
    """What can be done with a folder or a file of a kind."""
    made = path.parent / "made"
    if kind == "vocab":
        return {"train": ("train", text, "--vocab", path, "--model", "unigram", "--run", made, "--quiet")}
    if kind == "counts":
        return {
            "train": ("train", "--counts", path, "--run", made, "--quiet"),
            "add": ("ngram", "add", path, home / "counts", "-o", path.parent / "added"),
        }
    if kind == "model.arpa":
        lenient = ("run", "import", path, "--lenient", "--run", path.parent / "lenient", "--quiet")
        return {"import": ("run", "import", path, "--run", made, "--quiet"), "lenient": lenient}
    if kind == "lists.jsonl":
        return {"score": ("score", home / "ngram", path), "report": ("score", home / "ngram", path, "--report", made)}
    every = {
        "check": ("run", "check", path),
        "info": ("run", "info", path),
        "json": ("run", "info", path, "--json"),
        "plot": ("run", "plot", path, "--text"),
        "curve": ("run", "plot", path, "--json"),
        "eval": ("eval", path, text, "--quiet"),
        "sample": ("sample", path, "--max-tokens", 3, "-n", 2, "--quiet"),
        "score": ("score", path, home / "lists.jsonl", "--quiet"),
        "export": ("run", "export", path, "-o", path.parent / "out.arpa"),
        "mix": ("run", "mix", path, home / "unigram", "--tune", text, "--run", made, "--quiet"),
        "from": ("train", text, "--config", path / "config.json", "--epochs", "1", "--dry-run", "--model", "unigram"),
    }
    if kind == "recurrent":
        every["resume"] = ("train", "--resume", path, "--quiet", "--epochs", 2)
    return every


KINDS = ("recurrent", "ngram", "unigram", "mixture", "vocab", "counts", "model.arpa", "lists.jsonl")


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_ends_in_a_traceback_and_what_check_accepts_can_be_used(kind, sound, tmp_path):
    text, wrong = sound / "text.txt", []
    for number in range(ROUNDS):
        dice = random.Random(f"{SEED} {number} {kind}")
        path = tmp_path / str(number) / kind
        path.parent.mkdir()
        if (sound / kind).is_dir():
            shutil.copytree(sound / kind, path)
            how = spoil(dice.choice(sorted(p for p in path.rglob("*") if p.is_file())), dice)
        else:
            shutil.copy(sound / kind, path)
            how = spoil(path, dice)
        codes: dict[str, int] = {}
        for name, command in commands_of(kind, path, sound, text).items():
            try:
                codes[name] = charlm(*command)
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                place = f"{where.filename}:{where.lineno}"
                wrong.append(f"seed {SEED}, round {number}: {how}: {name}: {error!r:.200} at {place}")
        if codes.get("check") == 0 and any(codes.get(use, 0) for use in USES):
            wrong.append(f"seed {SEED}, round {number}: {how}: check accepts what {codes} do not")
        shutil.rmtree(path.parent)
    assert not wrong, "\n".join(wrong)
