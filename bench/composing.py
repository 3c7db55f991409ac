"""Verse written under a form: does it keep it, what does that cost, and how long does it take?

    python bench/composing.py RUN [--count 1000] [--valid poems.valid.txt]

Poems of all forms in all strictnesses, half of them acrostics of random characters, one candidate each, are judged by
the checker, which shares only forms and rhyme books with what wrote them. The cost is minus the logarithm of the
probability that the masks leave, per character, at temperature 1. Copies: lines of the training text, and lines with
five characters in a row of it, beside those of held-out human poems.
"""

import argparse
import random
import statistics
import time
from collections import Counter
from pathlib import Path

import numpy as np

from charlm.composing.automaton import Automaton
from charlm.composing.demands import acrostic
from charlm.composing.novelty import NOVELTY_FILE, Novelty, clauses
from charlm.composing.writing import Verse, compose
from charlm.config.sampling import SamplingConfig
from charlm.poems.checking import check
from charlm.poems.form import Form, forms
from charlm.poems.sounds import rhyme_book
from charlm.runs.run import Run, load

STRICTNESSES = ("strict", "common", "free")
SHAPES = ("五绝", "七绝", "五律", "七律")


def asked(run: Run, form: Form, strictness: str, chance: random.Random, quotes: Novelty | None) -> Automaton:
    """An automaton, for every second poem with an acrostic that can be had."""
    tokens, book = run.codec.vocab.tokens, rhyme_book(form.rhyme_book)
    usual = [token for token in tokens[2:1500] if len(token) == 1 and book.readings(token)]
    if chance.random() < 0.5:
        for _ in range(20):
            characters = "".join(chance.choices(usual, k=len(form.variants[0].lines)))
            fixed = acrostic(characters, 1, form)
            found = Automaton(form, book, tokens, strictness, fixed, (), quotes)
            if found.start().ways:
                return found
    return Automaton(form, book, tokens, strictness, {}, (), quotes)


def write(run: Run, automaton: Automaton, seed: int, count: int = 1, candidates: int = 1) -> list[Verse]:
    """Poems of an automaton."""
    controls = run.codec.vocab.controls
    drawn = compose(
        run.model, automaton, SamplingConfig(seed=seed), controls=controls, count=count, candidates=candidates
    )
    return list(drawn)


def distinct(lines: list[str]) -> float:
    """The share of pairs of neighbouring characters that are different from all others."""
    pairs = Counter(line[at : at + 2] for line in lines for at in range(len(line) - 1))
    return len(pairs) / max(1, sum(pairs.values()))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--valid", type=Path)
    given = parser.parse_args()
    run, chance = load(given.run), random.Random(1)
    quotes = Novelty.load(given.run / NOVELTY_FILE) if (given.run / NOVELTY_FILE).exists() else None
    kinds = [(form, strictness) for form in forms() for strictness in STRICTNESSES]
    sound, bad, lines = 0, Counter[str](), []
    for number in range(given.count):
        form, strictness = kinds[number % len(kinds)]
        (poem,) = write(run, asked(run, form, strictness, chance, quotes), number)
        judgement = check(poem.text, form, strictness=strictness)
        sound += judgement.conforms
        bad.update(fault.rule for fault in judgement.faults)
        lines += poem.lines
    print(f"{sound} of {given.count} poems keep their form and strictness; faults: {dict(bad)}")
    if quotes is not None:
        known = sum(bool(quotes.endings(line[:-1], np.array([ord(line[-1])], np.uint32))[0]) for line in lines)
        print(f"lines of the training text: {known} of {len(lines)}")
    for name in SHAPES:
        form = next(form for form in forms() if form.name == name)
        automaton = Automaton(form, rhyme_book(form.rhyme_book), run.codec.vocab.tokens, quotes=quotes)
        start = time.perf_counter()
        poems = [write(run, automaton, seed, candidates=16)[0] for seed in range(5)]
        seconds = (time.perf_counter() - start) / 5
        plain = write(run, automaton, 1, count=100)
        cost = statistics.mean(poem.forced / poem.characters for poem in plain)
        mine = [line for poem in plain for line in poem.lines]
        copied = f", {sum(quotes.copied(mine)) / len(mine):.3f} of lines with a copied five" if quotes else ""
        print(f"{name}: {cost:.3f} nats a character, {seconds * 1000:.0f} ms for the best of 16{copied},"
              f" distinct-2 {distinct(mine):.3f}; {poems[0].text}")  # fmt: skip
    if quotes is not None and given.valid is not None:
        human = [line for poem in given.valid.read_text("utf-8").splitlines()[:500] for line in clauses(poem)]
        copied = sum(quotes.copied(human)) / len(human)
        print(f"human, held out: {copied:.3f} of lines with a copied five, distinct-2 of 400 lines"
              f" {distinct(human[:400]):.3f}; the filter alone tells {quotes.grams.rate:.2f} a look")  # fmt: skip


if __name__ == "__main__":
    main()
