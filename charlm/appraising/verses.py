"""Poems as bare lines: what people and models write is compared without their marks, which would give a set away."""

import random
from collections.abc import Sequence
from typing import TypeAlias

from charlm.poems.form import Form, Variant

Lines: TypeAlias = tuple[str, ...]  # of one poem, without marks


def shuffled(poems: Sequence[Lines], seed: int) -> list[Lines]:
    """The same lines in other company: each stands where it stood, among poems of as many lines.

    What is left of a poem is what a line has by itself; sense, rhyme and the tones of neighbours are chance.
    """
    chance = random.Random(seed)
    by_size: dict[int, list[Lines]] = {}
    for poem in poems:
        by_size.setdefault(len(poem), []).append(poem)
    found: list[Lines] = []
    for size in sorted(by_size):
        columns = [list(column) for column in zip(*by_size[size], strict=True)]
        for column in columns:
            chance.shuffle(column)
        found += zip(*columns, strict=True)
    return found


def halves(poems: Sequence[Lines], seed: int) -> tuple[list[Lines], list[Lines]]:
    """Two parts of some poems, drawn by lot; of an odd number one is left out."""
    order = random.Random(seed).sample(range(len(poems)), len(poems))
    middle = len(poems) // 2
    return [poems[n] for n in order[:middle]], [poems[n] for n in order[middle : 2 * middle]]


def marked(poem: Lines, form: Form) -> str:
    """The poem with marks as a form sets them: a stop after each couplet, of a tune after each rhyme."""
    variant = _nearest(poem, form)
    text = ""
    for number, line in enumerate(poem):
        last = number == len(poem) - 1
        tune = form.genre == "词" and number < len(variant.lines)
        ends = bool(variant.lines[number].rhyme) if tune else number % 2 == 1
        text += line + ("。" if ends or last else "，")
    return text


def _nearest(poem: Lines, form: Form) -> Variant:
    lengths = tuple(map(len, poem))
    return next((variant for variant in form.variants if variant.lengths == lengths), form.variants[0])
