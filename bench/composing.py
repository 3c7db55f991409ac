"""Verse written under a form: does it keep it, what does that cost, and how long does it take?

    python bench/composing.py RUN [--count 123] [--valid poems.valid.txt] [--precision fp16]

Poems of all forms in all strictnesses, half of them acrostics of random characters, one candidate each, are judged by
the checker, which shares only forms and rhyme books with what wrote them. The cost is minus the logarithm of the
probability that the masks leave, per character, at temperature 1. Copies: lines of the training text, and lines with
five characters in a row of it, beside those of held-out human poems. Figures are printed as they come: a line for each
shape, then one for every 20 poems, which may be stopped at any time. `charlm poem eval`
has the figures of one form beside human poems.
"""

import argparse
import random
import statistics
import time
from collections import Counter
from pathlib import Path

import torch

from charlm.appraising.quality import distinct, quoted
from charlm.composing.automaton import Automaton
from charlm.composing.demands import acrostic
from charlm.composing.novelty import NOVELTY_FILE, Novelty, clauses
from charlm.composing.writing import Verse, compose, unranked
from charlm.config.poems import Strictness
from charlm.config.sampling import SamplingConfig
from charlm.models.lowered import choose_drawing
from charlm.poems.checking import check
from charlm.poems.form import Form, forms
from charlm.poems.sounds import rhyme_book
from charlm.runs.run import Run, load

STRICTNESSES: tuple[Strictness, ...] = ("strict", "common", "free")
SHAPES = ("五绝", "七绝", "五律", "七律")
TOLD = 20  # poems between two lines
TIMED, PLAIN = 12, 64  # poems of a shape that are timed with 16 candidates, and whose cost is told


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
    config = SamplingConfig(seed=seed)
    return list(compose(run.model, automaton, config, controls=controls, count=count, candidates=candidates))


def keep_forms(run: Run, count: int, quotes: Novelty | None) -> None:
    """Poems of every form and strictness in turn, as many of each as `count` allows."""
    chance, start = random.Random(1), time.perf_counter()
    kinds = [(form, strictness) for strictness in STRICTNESSES for form in forms()]
    sound, bad, lines, known = 0, Counter[str](), 0, 0
    for number in range(count):
        form, strictness = kinds[number % len(kinds)]
        (poem,) = write(run, asked(run, form, strictness, chance, quotes), number)
        judgement = check(poem.text, form, strictness=strictness)
        sound += judgement.conforms
        bad.update(fault.rule for fault in judgement.faults)
        lines += len(poem.lines)
        known += sum(quotes is not None and quoted(quotes, line) for line in poem.lines)
        if (number + 1) % TOLD == 0 or number + 1 == count:
            copied = f", {known} of {lines} lines of the training text" if quotes is not None else ""
            seconds = time.perf_counter() - start
            print(f"{sound} of {number + 1} poems keep their form and strictness; faults: {dict(bad)}{copied};"
                  f" {seconds:.0f} s", flush=True)  # fmt: skip


def tell_shape(run: Run, form: Form, quotes: Novelty | None) -> None:
    """What a shape costs, in nats and milliseconds."""
    automaton = Automaton(form, rhyme_book(form.rhyme_book), run.codec.vocab.tokens, quotes=quotes)
    times, best = [], ""
    for seed in range(TIMED):
        start, spent = time.perf_counter(), time.process_time()
        best = write(run, automaton, seed, candidates=16)[0].text
        times.append((time.perf_counter() - start, time.process_time() - spent))
    wall, processor = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    plain = list(unranked(run.model, automaton, SamplingConfig(), PLAIN, controls=run.codec.vocab.controls))
    cost = statistics.mean(poem.forced / poem.characters for poem in plain)
    mine = [line for poem in plain for line in poem.lines]
    copied = f", {sum(quotes.copied(mine)) / len(mine):.3f} of lines with a copied five" if quotes else ""
    print(f"{form.name}: {cost:.3f} nats a character, {wall:.0f} ms ({processor:.0f} of the processor) for the best"
          f" of 16{copied}, distinct-2 {distinct(mine, 2):.3f}; {best}", flush=True)  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--count", type=int, default=len(forms()) * len(STRICTNESSES))
    parser.add_argument("--valid", type=Path)
    parser.add_argument("--precision", choices=("float32", "fp16", "bf16", "auto"))
    given = parser.parse_args()
    run = load(given.run, precision=given.precision or choose_drawing(torch.device("cpu")))
    quotes = Novelty.load(given.run / NOVELTY_FILE) if (given.run / NOVELTY_FILE).exists() else None
    for form in forms():
        if form.name in SHAPES:
            tell_shape(run, form, quotes)
    if quotes is not None and given.valid is not None:
        human = [line for poem in given.valid.read_text("utf-8").splitlines()[:500] for line in clauses(poem)]
        copied = sum(quotes.copied(human)) / len(human)
        print(f"human, held out: {copied:.3f} of lines with a copied five, distinct-2 of 200 lines"
              f" {distinct(human[:200], 2):.3f}; the filter alone tells {quotes.grams.rate:.2f} a look")  # fmt: skip
    keep_forms(run, given.count, quotes)


if __name__ == "__main__":
    main()
