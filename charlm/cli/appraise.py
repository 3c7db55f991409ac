"""`charlm poem eval`: what the poems of a run are worth, beside those of people."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charlm.cli.completion import runs_at
from charlm.cli.console import Talk, emit, emit_json, figure
from charlm.cli.options import AsJson, Device, OptionalRun, Quiet, page, takes
from charlm.cli.precision import for_verse
from charlm.config.knobs import build
from charlm.config.poems import PoemConfig
from charlm.config.sampling import SamplingConfig
from charlm.config.text import TextConfig
from charlm.errors import ConfigError

if TYPE_CHECKING:
    from charlm.jobs.appraise import Appraisal, Appraised

MOST = 100_000  # poems, which bounds memory
CAPTIONS = {"ours": "in form", "free": "free", "human": "human", "shuffled": "shuffled"}
FORM_ROWS = {
    "valid": "keep the form",
    "structure": "structure",
    "tone": "tones",
    "rhyme": "rhyme",
    "answers": "no 失对",
    "sticks": "no 失粘",
}


@takes(page(SamplingConfig, without="max_tokens"), page(PoemConfig), page(TextConfig, only="encoding field"))
def eval_(
    run: OptionalRun = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=MOST, help="Poems to draw.")] = 100,
    against: Annotated[
        str | None, typer.Option(metavar="FILE", help="Human poems that the run has not seen; - is stdin.")
    ] = None,
    judge: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Counts (--model ngram) that tell perplexity.", autocompletion=runs_at),
    ] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Draw poems with RUN and measure them: form, quality and cost.

    charlm poem eval --form 七绝 --against valid.txt
    """
    from charlm.jobs.appraise import appraise, human_poems
    from charlm.poems.form import find_form
    from charlm.runs.layout import run_or_own
    from charlm.runs.run import load

    config = build(SamplingConfig, knobs, command="poem eval")
    asked = build(PoemConfig, knobs, command="poem eval")
    text = build(TextConfig, knobs, command="poem eval")
    if asked.form is None:
        raise ConfigError("no form was given", hint="for example --form 七绝; `charlm poem forms` lists them")
    form = find_form(asked.form)
    path = run_or_own(run)
    with Talk(quiet) as talk:
        human = None if against is None else human_poems(against, form, text, note=talk.note)
        judging = None if judge is None else load(judge, device)
        writing = load(path, device, for_verse(None, device, talk))
        found = appraise(
            writing, asked, config, count, human=human, judge=judging, note=talk.note,
            report=talk.counter("writing", "poems"),
        )  # fmt: skip
    if as_json:
        emit_json({"run": str(path), **found.record()})
    else:
        _show(found)


def _show(found: "Appraisal") -> None:
    from charlm.cli.grid import columns

    names = list(found.sets)
    asked, many = found.asked, "one poem" if found.count == 1 else f"{found.count:,} poems"
    about = "" if asked.theme is None else f" about {asked.theme}"
    drawn = f"{many} of {asked.form}{about} ({asked.strictness}), each the best of {asked.candidates}"
    emit(f"{drawn}; seed {found.seed}")
    emit(f"free: as many without a form{'; shuffled: human lines, across poems' if found.human else ''}")
    emit("")
    captions = [CAPTIONS[name] for name in names]
    rows = [["form, by the checker", *captions], ["poems", *(f"{one.keeping.poems:,}" for one in found.sets.values())]]
    for part, told in FORM_ROWS.items():
        shares = [one.keeping.share(part) for one in found.sets.values()]
        if any(share is not None for share in shares):
            rows.append([told, *map(_share, shares)])
    for line in columns(rows):
        emit(line)
    for name in names:
        rules = found.sets[name].keeping.rules.most_common(5)
        if rules:
            poems = found.sets[name].keeping.poems
            emit(f"  faults, {CAPTIONS[name]}: {', '.join(f'{rule} {count / poems:.1%}' for rule, count in rules)}")
    emit("")
    for line in columns([["quality", *captions], *_quality_rows(found)]):
        emit(line)
    if found.human:
        emit("AUC 0.5: they cannot be told apart (less is chance); 1: always")
    emit("")
    cost = found.cost
    emit(f"cost of the form  {figure(cost.nats, 3)} nats a character ({cost.poems:,} poems, temperature 1, unranked)")
    emit(f"time of a poem    {figure(cost.millis, 0)} ms, all its candidates together")


def _quality_rows(found: "Appraisal") -> list[list[str]]:
    sets = list(found.sets.values())
    return [
        ["poems that repeat a character", *(_of(one, "repeating") for one in sets)],
        ["repeated characters a poem", *(figure(one.quality.repeated if one.quality else None) for one in sets)],
        [f"distinct characters, {found.alike:,} poems", *(_of(one, "distinct_1") for one in sets)],
        [f"distinct pairs, {found.alike:,} poems", *(_of(one, "distinct_2") for one in sets)],
        ["lines of the training text", *(_of(one, "quoted") for one in sets)],
        ["lines with five copied characters", *(_of(one, "copied") for one in sets)],
        *([["theme recalled", *(_of(one, "theme") for one in sets)]] if _has_theme(found) else []),
        *([["perplexity by the judge", *(figure(one.perplexity) for one in sets)]] if found.judge else []),
        *(_told_rows(sets) if found.human else []),
    ]


def _told_rows(sets: list["Appraised"]) -> list[list[str]]:
    """How well each set is told apart, how far that is known, and from how many poems of either."""
    told = [one.told for one in sets]
    return [
        ["told from human poems (AUC)", *("–" if one is None else f"{one.auc:.2f}" for one in told)],
        ["  95 % from", *("–" if one is None else f"{one.low:.2f}" for one in told)],
        ["  to", *("–" if one is None else f"{one.high:.2f}" for one in told)],
        ["  by so many of either", *("–" if one is None else f"{one.poems:,}" for one in told)],
    ]


def _has_theme(found: "Appraisal") -> bool:
    return any(one.quality is not None and one.quality.theme is not None for one in found.sets.values())


def _of(one: "Appraised", name: str) -> str:
    return _share(None if one.quality is None else getattr(one.quality, name))


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
