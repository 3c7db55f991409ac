"""What a training text says is known again, and what it does not say hardly ever taken for it."""

import random

import numpy as np
import pytest

from charlm.composing.novelty import GRAM_RATE, LINE_RATE, Novelty, clauses
from charlm.errors import RunError

chance = random.Random(7)


def line(length=5):
    return "".join(chr(0x4E00 + chance.randrange(3000)) for _ in range(length))


KNOWN = [f"{line()}，{line()}。{line(7)}，{line(7)}！" for _ in range(3000)]
NOVELTY = Novelty.of(KNOWN)


def ends(novelty, beginning, characters, tail=""):
    codes = np.array([ord(character) for character in characters], np.uint32)
    return novelty.endings(beginning, codes, tail).tolist()


def test_every_line_of_the_text_is_known_from_its_last_character_or_its_last_two():
    for poem in KNOWN[:300]:
        for said in clauses(poem):
            assert ends(NOVELTY, said[:-1], said[-1]) == [True]
            assert ends(NOVELTY, said[:-2], said[-2], said[-1]) == [True]


def test_a_line_that_begins_as_nobody_does_is_not_looked_up_by_every_ending(monkeypatch):
    asked = []
    real = type(NOVELTY.lines).holds
    monkeypatch.setattr(type(NOVELTY.lines), "holds", lambda self, h: asked.append(len(h)) or real(self, h))
    others = [line(6) for _ in range(400)]
    assert not any(any(ends(NOVELTY, other, "一二三四五六")) for other in others)
    assert asked.count(6) < 3 * GRAM_RATE**2 * len(others) + 5  # by both its fives, and not by every ending


def test_other_lines_are_taken_for_known_ones_about_as_rarely_as_is_said():
    taken = sum(ends(NOVELTY, other[:-1], other[-1])[0] for other in (line() for _ in range(20_000)))
    assert taken / 20_000 < 2 * LINE_RATE and NOVELTY.lines.rate < 2 * LINE_RATE
    copied = sum(NOVELTY.copied(line() for _ in range(20_000)))
    assert 0.5 * GRAM_RATE < copied / 20_000 < 2 * GRAM_RATE
    assert abs(copied / 20_000 - NOVELTY.grams.rate) < 0.02


def test_five_characters_in_a_row_are_a_copy_wherever_they_stand():
    seven = clauses(KNOWN[0])[2]
    assert NOVELTY.copied([seven[:5] + line(2), line(1) + seven[1:6] + line(1)]) == [True, True]


def test_lines_of_two_characters_are_nobodys():
    assert ends(Novelty.of(["春风，"]), "春", "风") == [False]


def test_it_is_read_as_it_was_written(tmp_path):
    NOVELTY.save(tmp_path / "novelty.safetensors")
    again = Novelty.load(tmp_path / "novelty.safetensors")
    said = clauses(KNOWN[5])[0]
    assert ends(again, said[:-1], said[-1]) == [True] and again.lines.rate == NOVELTY.lines.rate


def test_another_file_is_not_taken_for_it(tmp_path):
    from charlm import tensorfiles

    tensorfiles.write(tmp_path / "other.safetensors", {}, {"format": 1})
    with pytest.raises(RunError, match="holds no lines of poems"):
        Novelty.load(tmp_path / "other.safetensors")


def test_a_text_without_a_line_holds_nothing():
    assert ends(Novelty.of([""]), "春眠不觉", "晓") == [False]
