"""How often human poems keep their forms, by our checker: `python bench/verse.py DATA` prints two tables.

DATA has `poems/`. Quatrains and regulated verse stand beside lines shuffled across poems; every tune of ours is tried
on the public ci that bear its name, but for fragments of fewer than four lines and poems of the shape of another form
(乌夜啼 is the name of two tunes, 浪淘沙 of quatrains too).
"""

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from charlm.config.poems import Strictness
from charlm.jobs.poem import tally
from charlm.poems.checking import check, fits
from charlm.poems.form import Form, find_form, forms
from charlm.poems.judgement import Judgement
from charlm.poems.parsing import poem_of

SETS = (("jueju7", "七绝"), ("jueju5", "五绝"), ("lvshi7", "七律"), ("lvshi5", "五律"))
ALL_FOUR = {"出律", "失对", "失粘", "出韵"}  # alternation, 对, 粘 and rhyme, as others measured them


def shuffled(poems: list[str]) -> list[str]:
    """Poems whose first line is of one poem, the second of another, and so on."""
    rows = [re.findall("[^，。？！]+[，。？！]", poem) for poem in poems]
    columns = [list(column) for column in zip(*rows, strict=True)]
    for number, column in enumerate(columns):
        random.Random(number).shuffle(column)
    return ["".join(lines) for lines in zip(*columns, strict=True)]


def share(count: int, total: int) -> str:
    """A share of poems."""
    return f"{count / total:.3f}"


def judged(poems: Iterable[str], form: str | Form, strictness: Strictness = "common") -> list[Judgement]:
    """Every poem as that form."""
    return [check(poem, form, strictness=strictness) for poem in poems]


def alternates(judgement: Judgement) -> bool:
    """Whether the second, fourth and sixth tones of each line alternate, so that no rescue was needed there."""
    fixed = [line.tones[1::2][: len(line.text) // 2] for line in judgement.lines]
    return all(a != b for tones in fixed for a, b in pairwise(tones))


def row(name: str, found: list[Judgement]) -> str:
    """A line of the first table."""
    total = tally(found)
    kept = [one for one in found if not ALL_FOUR & {fault.rule for fault in one.faults}]
    rules = ", ".join(f"{rule} {share(count, total.poems)}" for rule, count in total.rules.most_common(5))
    cells = [
        name,
        f"{total.poems:,}",
        share(sum(map(alternates, kept)), total.poems),
        share(len(kept), total.poems),
        share(total.conforming, total.poems),
    ]
    return f"| {' | '.join([*cells, *(share(total.parts[p], total.poems) for p in ('tone', 'rhyme')), rules])} |"


def tunes(folder: Path) -> Iterator[tuple[Form, list[str]]]:
    """Each tune and the ci that bear its name."""
    records = [json.loads(line) for part in ("train", "valid")
               for line in (folder / f"songci.{part}.jsonl").read_text("utf-8").splitlines()]  # fmt: skip
    names = {name: form.name for form in forms() if form.genre == "词" for name in (form.name, *form.aliases)}
    found: dict[str, list[str]] = {}
    for record in records:
        name = names.get(record.get("alias", "")) or names.get(record["rhythmic"])
        lengths = poem_of(record["text"]).lengths
        if name and len(lengths) >= 4 and (fits(lengths, find_form(name)) or not fits(lengths)):
            found.setdefault(name, []).append(record["text"])
    yield from ((form, found[form.name]) for form in forms() if form.name in found)


def main(folder: Path) -> None:
    """Print both tables."""
    print("| set | poems | four rules, no rescue | four rules | conform | tone | rhyme | broken most |")
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    for name, form in SETS:
        poems = (folder / f"{name}.valid.txt").read_text("utf-8").splitlines()
        print(row(f"{name}.valid as {form}", judged(poems, form)), flush=True)
        if name.startswith("jueju"):
            print(row(f"{name}.valid, strict", judged(poems, form, "strict")), flush=True)
        print(row("its lines shuffled", judged(shuffled(poems), form)), flush=True)
    records = [json.loads(line) for line in (folder / "ccpc_valid.json").read_text("utf-8").splitlines()]
    for size, form in ((7, "七绝"), (5, "五绝")):
        some = [one["content"] for one in records if set(map(len, one["content"].split("|"))) == {size}]
        print(row(f"ccpc_valid as {form}", judged(some, form)), flush=True)
    print("\n| tune | poems | structure | and tone | and rhyme | variants that conform |")
    print("|---|---:|---:|---:|---:|---|")
    sums: Counter[str] = Counter()
    for tune, poems in tunes(folder):
        found = judged(poems, tune)
        shaped = [one for one in found if not one.of("structure")]
        toned = [one for one in shaped if not one.of("tone")]
        whole = [one for one in toned if one.conforms]
        kinds = ", ".join(f"{kind} {count}" for kind, count in Counter(o.variant.name for o in whole).most_common(3))
        counts = {"poems": len(found), "structure": len(shaped), "tone": len(toned), "rhyme": len(whole)}
        sums.update(counts)
        cells = [tune.name, f"{len(found):,}", *(share(counts[p], len(found)) for p in ("structure", "tone", "rhyme"))]
        print(f"| {' | '.join([*cells, kinds])} |", flush=True)
    print(f"\n{dict(sums)}; of no variant's structure: {sums['poems'] - sums['structure']:,}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) / "poems")
