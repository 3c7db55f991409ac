"""What the checker says of poems that people wrote, on the real sets where they lie at hand."""

import json
import random
import re
from functools import cache

import pytest
from test_real_data import data

from charlm.composing.annotating import Annotator
from charlm.jobs.poem import Tally, tally
from charlm.poems.checking import check, fits
from charlm.poems.form import find_form, forms
from charlm.poems.parsing import Poem, poem_of

TUNES = [form.name for form in forms() if form.genre == "词"]
AT_MOST = 120  # poems of a tune that are judged: enough to tell a majority


def quatrains(name: str) -> list[str]:
    with open(data(f"poems/{name}"), encoding="utf-8") as lines:  # noqa: PTH123
        return [line.strip() for line in lines]


def judged(poems: list[str], form: str) -> Tally:
    return tally(check(poem, form) for poem in poems)


def shuffled(poems: list[str]) -> list[str]:
    """Poems whose first line is of one poem, the second of another, and so on."""
    rows = zip(*(re.findall("[^，。？！]+[，。？！]", poem) for poem in poems), strict=True)
    columns = [list(row) for row in rows]
    for number, column in enumerate(columns):
        random.Random(number).shuffle(column)
    return ["".join(lines) for lines in zip(*columns, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form", "share"), [("jueju7", "七绝", 0.83), ("jueju5", "五绝", 0.47)])
def test_human_quatrains_keep_all_rules_as_often_as_was_measured_elsewhere_and_shuffled_lines_do_not(name, form, share):
    poems = quatrains(f"{name}.valid.txt")[:1500]
    found = judged(poems, form)
    assert found.poems > 700 and found.parts["structure"] == found.poems
    assert found.conforming / found.poems == pytest.approx(share, abs=0.03)
    assert judged(shuffled(poems), form).conforming / found.poems < 0.006


@cache
def tunes() -> dict[str, list[Poem]]:
    """The poems of each tune of ours, without fragments and without those of the shape of another form."""
    found: dict[str, list[Poem]] = {name: [] for name in TUNES}
    names = {known: form.name for form in forms() for known in (form.name, *form.aliases) if form.genre == "词"}
    for part in ("valid", "train"):
        with open(data(f"poems/songci.{part}.jsonl"), encoding="utf-8") as lines:  # noqa: PTH123
            for line in lines:
                record = json.loads(line)
                name = names.get(record.get("alias", "")) or names.get(record["rhythmic"])
                if name is None or len(found[name]) == AT_MOST:
                    continue
                poem = poem_of(record["text"])
                if len(poem.clauses) < 4:
                    continue
                if fits(poem.lengths, find_form(name)) or not fits(poem.lengths):
                    found[name].append(poem)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", TUNES)
def test_a_pattern_fits_the_majority_of_the_poems_of_its_tune(name):
    found = tally(check(poem, name) for poem in tunes()[name])
    assert found.poems >= 15
    assert min(found.parts["structure"], found.parts["tone"], found.parts["rhyme"]) > found.poems / 2, found.record()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "form"), [("jueju7", "七绝"), ("jueju5", "五绝"), ("lvshi7", "七律"), ("lvshi5", "五律")]
)
def test_the_forms_that_training_tells_are_those_that_the_checker_finds(name, form):
    poems, annotator = quatrains(f"{name}.valid.txt")[:300], Annotator()
    told = [annotator.annotate(poem).form == form for poem in poems]
    kept = [check(poem, form).conforms for poem in poems]
    assert sum(one != other for one, other in zip(told, kept, strict=True)) <= 0.03 * len(poems)
    assert 0.3 * len(poems) < sum(told) < len(poems)
