"""What it brings to tell a network what it writes: `python bench/control.py PLAIN TOLD [--poems 60]`.

PLAIN and TOLD are runs of the same text and the same knobs, TOLD with `--control form,rhyme,theme` besides. Printed are
the perplexities of the validation text, what the masks of a form cost in nats a character (temperature 1, one
candidate, training lines left out), with and without a rhyme that is asked for, and how often a poem says its theme.
"""

import argparse
import math
import statistics
from pathlib import Path

from charlm.composing.themes import recall
from charlm.composing.writing import Ranking, Verse, compose
from charlm.config.poems import PoemConfig
from charlm.config.sampling import SamplingConfig
from charlm.jobs.sample import keeping, telling
from charlm.poems.form import find_form
from charlm.runs.run import Run, load

FORMS = ("七绝", "五绝")
RHYMES = ("先", "真", "阳", "庚", "尤", "东")  # of the level tones, those that poems have most
THEMES = ("秋", "月", "江", "梅", "思乡", "离别")


def written(run: Run, asked: PoemConfig, count: int, *, told: bool, seed: int = 1) -> list[Verse]:
    """Poems of what is asked for, of which the run is told or not."""
    assert asked.form is not None
    automaton = keeping(run, find_form(asked.form), asked)
    model, ids = telling(run, asked) if told else (run.model, ())
    ranking = Ranking(asked.theme or "", asked.theme_strength) if asked.candidates > 1 else Ranking()
    config, controls = SamplingConfig(seed=seed), run.codec.vocab.controls
    return list(compose(model, automaton, config, told=ids, controls=controls, count=count,
                        candidates=asked.candidates, ranking=ranking))  # fmt: skip


def cost(poems: list[Verse]) -> str:
    """Nats a character that the masks cost, and the error of that mean."""
    each = [poem.forced / poem.characters for poem in poems]
    return f"{statistics.mean(each):.3f} ± {statistics.stdev(each) / math.sqrt(len(each)):.3f}"


def perplexities(run: Run) -> str:
    """Of the validation text, untold and told."""
    told = run.facts.get("told") or {}
    kinds = {"when told": told.get("nats"), "with a theme of its own": told.get("nats_with_theme")}
    parts = [f"{math.exp(run.best['valid_nats']):.2f}"]
    return ", ".join(parts + [f"{math.exp(n / told['tokens']):.2f} {kind}" for kind, n in kinds.items() if n])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("plain", type=Path)
    parser.add_argument("told", type=Path)
    parser.add_argument("--poems", type=int, default=60)
    given = parser.parse_args()
    plain, told = load(given.plain), load(given.told)
    count = given.poems
    print(f"perplexity: {perplexities(plain)}; of the run that is told: {perplexities(told)}", flush=True)
    for form in FORMS:
        asked = PoemConfig(form=form, candidates=1)
        parts = {
            "plain": written(plain, asked, count, told=False),
            "told nothing": written(told, asked, count, told=False),
            "told the form": written(told, asked, count, told=True),
        }
        for name, run in (("plain, rhyme asked for", plain), ("told form and rhyme", told)):
            parts[name] = []
            for rhyme in RHYMES:
                one = PoemConfig(form=form, rhyme=rhyme, candidates=1)
                parts[name] += written(run, one, count // len(RHYMES), told=run is told)
        print(f"{form}: " + "; ".join(f"{name} {cost(poems)}" for name, poems in parts.items()), flush=True)
    each = max(1, count // len(THEMES))
    for name, run, knobs in (
        ("plain", plain, {"candidates": 1}),
        ("plain, best of 16", plain, {"candidates": 16}),
        ("told", told, {"candidates": 1}),
        ("told, strength 2", told, {"candidates": 1, "theme_strength": 2.0}),
        ("told, best of 16", told, {"candidates": 16}),
    ):
        few = each if knobs["candidates"] == 1 else max(1, each // 4)
        found = [
            recall(poem.text, theme)
            for theme in THEMES
            for poem in written(run, PoemConfig(form=FORMS[0], theme=theme, **knobs), few, told=run is told)
        ]
        print(f"theme, {name}: recall {statistics.mean(found):.2f} of {len(found)} poems", flush=True)
    best = written(told, PoemConfig(form=FORMS[0], theme=THEMES[0], candidates=16), 2, told=True)
    print("\n".join(poem.text for poem in best))


if __name__ == "__main__":
    main()
