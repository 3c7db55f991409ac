"""The bench that compares lines from left to right with lines from right to left."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import charlm
from charlm.poems.form import find_form
from charlm.poems.sounds import rhyme_book

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reading_order", ROOT / "bench" / "reading_order.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reading_order"] = module  # dataclasses look there for their module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("backward", [False, True])
def test_a_poem_is_measured_from_its_first_character_on(bench: ModuleType, tmp_path: Path, backward: bool) -> None:
    text = (ROOT / "corpora" / "quatrains.txt").read_text("utf-8")
    (tmp_path / "text").write_text(bench.turned(text) if backward else text, "utf-8")
    charlm.train([tmp_path / "text"], tmp_path / "run", model="ngram", order=3)
    run = charlm.load(tmp_path / "run")
    variants = find_form("五绝").variants
    sounds = bench.Sounds(run.codec.vocab.tokens, rhyme_book("pingshui"))
    poems = [lines for lines in bench.quatrains(text) if {len(line) for line in lines} == {5}]
    poems = [lines for lines in poems if bench.keeps(lines, variants, sounds)]
    found = bench.measure(run, poems, variants, backward)

    assert len(poems) > 20
    assert len(found.characters) == len(found.rhymes) + len(found.elsewhere) == 20 * len(poems)
    written = [f"{a}，{b}。{c}，{d}。" for a, b, c, d in poems]
    read = run.log_probs([run.codec.line(bench.turned(poem) if backward else poem) for poem in written])
    alone = -sum(float(each[place]) for each in read for place in range(24) if place % 6 != 5)  # without the marks
    assert sum(found.characters) == pytest.approx(alone, rel=1e-5)
    # A poem that keeps the form lies within the masks, so they cannot cost more than it does.
    assert 0 < sum(found.rhymes) + sum(found.elsewhere) < sum(found.characters)


def test_lines_are_turned_and_marks_are_not(bench: ModuleType) -> None:
    assert bench.turned("泊舟芦港浅，听雨到三更。") == "浅港芦舟泊，更三到雨听。"
