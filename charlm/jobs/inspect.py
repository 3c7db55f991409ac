"""Runs and a text to what is inside of them: `charlm inspect`."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from charlm.config.inspecting import InspectConfig, PlantedConfig
from charlm.config.networks import CELLS
from charlm.errors import ConfigError
from charlm.families import FAMILIES
from charlm.inspecting import features, gates, gradients, memory, neurons, planted, radius, spectra
from charlm.inspecting.bands import Band, band
from charlm.inspecting.positions import Excerpts, Row, excerpts, rows_of
from charlm.inspecting.stepping import stacked
from charlm.jobs.evaluate import Evaluation
from charlm.models.base import LanguageModel
from charlm.poems.sounds import rhyme_book
from charlm.runs.layout import history
from charlm.runs.run import Run
from charlm.runs.run import load as load_run
from charlm.scoring import OnTokens
from charlm.text.vocab import EOS, UNK

MOST_TOKENS = 1_000_000  # of a text among which positions are looked for
SINGULAR_POSITIONS = 16  # at which singular values are found
FEWEST_POSITIONS = 256  # of which a mean is worth its band


@dataclass(frozen=True)
class Inspection:
    """A text, and how runs are looked into at it."""

    text: Evaluation
    config: InspectConfig

    def documents(self, run: Run, most: int = MOST_TOKENS) -> list[Row]:
        """The ids of the text as this run reads it, up to so many tokens."""
        found: list[Row] = []
        tokens = 0
        for document in self.text.documents(run):
            if tokens >= most:
                self.text.note(f"{run.path}: the first {tokens:,} tokens of the text were read")
                break
            ids = run.codec.encode(document).ids
            found.append(ids if len(ids) <= most - tokens else ids[: most - tokens])
            tokens += len(found[-1])
        return found

    def rows(self, run: Run, most: int = MOST_TOKENS) -> list[Row]:
        """The same as rows, each begun by `<EOS>`."""
        return rows_of(self.documents(run, most), self.text.carried(run))

    def excerpts(self, run: Run, rows: Sequence[Row], **wanted: Any) -> Excerpts:
        """The positions at which this run is looked at; tells where there are few."""
        config = self.config
        found = excerpts(rows, config.lags, config.positions, seed=config.seed, **wanted)
        if len(found) < min(FEWEST_POSITIONS, config.positions):
            self.text.note(f"{run.path}: the text has but {len(found)} positions with {config.lags} tokens before them")
        return found


# ── gradients ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Learning:
    """How far back the gradients of one network reach.

    stage     trained, or fresh: the same network with the weights that it began with
    singular  the largest singular value of the product of K Jacobians, as a factor a step: a Band of one number
    """

    run: str
    cell: str
    stage: str
    positions: int
    decays: list[gradients.Decay]
    singular: Band
    clipped: float | None

    def to_json(self) -> dict[str, Any]:
        """Stable keys."""
        return {
            "run": self.run,
            "cell": self.cell,
            "stage": self.stage,
            "positions": self.positions,
            "curves": [decay.to_json() for decay in self.decays],
            "singular_factor": self.singular.to_json(),
            "clipped": self.clipped,
        }


def learning(path: Path, job: Inspection, *, fresh: bool, report: OnTokens) -> list[Learning]:
    """The gradients by lag of a run, and with `fresh` of the network that it began as.

    Raises RunError where it has no recurrent layers, TextError where the text is too short.
    """
    run, config = load_run(path), job.config
    stages: list[tuple[str, LanguageModel]] = [("trained", run.model)]
    stacked(run.model, str(path))
    begin = FAMILIES[run.config.model].fresh
    if fresh and begin is not None:
        stages.insert(0, ("fresh", begin(run.config.family, run.codec.vocab, run.config.training.seed)))
    asked = job.excerpts(run, job.rows(run))
    few = excerpts_of(asked, SINGULAR_POSITIONS)
    found = []
    for stage, model in stages:
        network = stacked(model, str(path))
        decays = gradients.decays(network, asked, seed=config.seed)
        logs = spectra.largest_singular_values(network, few, seed=config.seed).numpy()
        factors = np.exp(logs / config.lags)
        singular = band(factors, few.groups.numpy(), seed=config.seed)
        clipped = clipped_share(path) if stage == "trained" else None
        found.append(Learning(str(path), run.config.family.cell, stage, len(asked), decays, singular, clipped))
        report(len(asked) * config.lags)
    return found


def excerpts_of(asked: Excerpts, count: int) -> Excerpts:
    """A few of some positions, evenly spread."""
    chosen = np.linspace(0, len(asked) - 1, min(count, len(asked))).round().astype(int).tolist()
    return Excerpts(
        [asked.before[number] for number in chosen],
        asked.inputs[chosen],
        asked.targets[chosen],
        asked.groups[chosen],
        [asked.places[number] for number in chosen],
    )


def clipped_share(path: Path) -> float | None:
    """The share of a training's steps whose gradient was scaled down; None where its history does not tell."""
    steps = clipped = 0.0
    before = 0
    for entry in history(path):
        if entry.get("clipped") is not None:
            steps += entry["step"] - before
            clipped += entry["clipped"] * (entry["step"] - before)
        before = entry["step"]
    return clipped / steps if steps else None


# ── memory ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Remembering:
    """How far back one run looks; `lines` where the ends of lines were asked for."""

    run: str
    model: str
    positions: int
    effect: memory.Effect
    lines: list[memory.LineBack]
    codec: str

    def to_json(self) -> dict[str, Any]:
        """Stable keys; bits."""
        told = {"run": self.run, "model": self.model, "positions": self.positions, **self.effect.to_json()}
        return {**told, "lines": [line.to_json() for line in self.lines]} if self.lines else told


def remembering(path: Path, job: Inspection, device: str, *, line_ends: str | None, report: OnTokens) -> Remembering:
    """What replacing the token k steps back changes, for any run.

    line_ends  marks that close the lines whose last tokens are asked for; None: positions are anywhere
    Raises ConfigError where the vocabulary has none of these marks, TextError where the text is too short.
    """
    run = load_run(path, device)
    rows, marks = job.rows(run), _marks(run)
    where = None
    if line_ends is not None:
        closing = frozenset(run.codec.vocab.ids[mark] for mark in line_ends if mark in run.codec.vocab.ids)
        if not closing:
            raise ConfigError(
                f"--line-ends {line_ends!r}: {path} knows none of these marks",
                hint="name marks that close lines of the text, such as 。 or ，。",
            )
        where = [memory.before_ends(row, closing, marks) for row in rows]
    asked = job.excerpts(run, rows, where=where)
    effect, bits = memory.effect(run.model, run.codec.vocab, asked, seed=job.config.seed)
    report(len(asked) * job.config.lags)
    lines = memory.by_lines(bits, rows, asked, marks) if line_ends is not None else []
    return Remembering(str(path), run.config.model, len(asked), effect, lines, run.codec.fingerprint())


def _marks(run: Run) -> frozenset[int]:
    """The tokens that part lines: marks, and `<EOS>`."""
    return frozenset([EOS, *(i for i, token in enumerate(run.codec.vocab.tokens) if features.is_mark(token))])


# ── planted tasks and spectral radii ────────────────────────────────────────────────────────────


def planted_tasks(config: PlantedConfig, report: OnTokens) -> Iterator[planted.Learned]:
    """How each cell learns a planted task, one after the other; raises ConfigError for unknown names."""
    names = [name.strip() for name in config.cells.split(",") if name.strip()]
    if not names:
        raise ConfigError("--cells names no cell", hint=f"for example --cells {PlantedConfig.cells}")
    for name in names:
        CELLS[name]
    planted.TASKS[config.task]
    for name in names:
        yield planted.learn(
            config.task, name, longest=config.longest, steps=config.steps, hidden=config.hidden, seed=config.seed,
            report=report,
        )  # fmt: skip


def radii(config: InspectConfig, clip: float) -> list[radius.Radius]:
    """The spectral radius sweep of both cells; raises ConfigError for a clip that is none."""
    if not 0 < clip < math.inf:
        raise ConfigError(f"--clip must be above 0 and finite, not {clip}", hint="for example --clip 1")
    if config.lags < 2:
        raise ConfigError("--lags must be at least 2 here, to have a near and a far half", hint="try --lags 50")
    return [
        one for cell in radius.SQUASHED for one in radius.sweep(cell, lags=config.lags, clip=clip, seed=config.seed)
    ]


# ── gates and units ─────────────────────────────────────────────────────────────────────────────


def gates_of(path: Path, job: Inspection, device: str) -> gates.Insides:
    """What the gates of a run do over the first tokens of a text; raises RunError where it has no cells."""
    run = load_run(path, device)
    return gates.look(run.model, job.rows(run, job.config.tokens), str(path))


def neurons_of(path: Path, job: Inspection, device: str, *, most: int) -> neurons.Knowledge:
    """What the units of a run go with, over the first tokens of a text."""
    run = load_run(path, device)
    rows = job.rows(run, job.config.tokens)
    shown = {EOS: "\n", UNK: "□"}
    names = run.codec.vocab.tokens
    tokens = [[shown.get(token, names[token]) for token in row[1:]] for row in rows]
    book = rhyme_book("pingshui") if _is_han("".join(names)) else None
    found = neurons.look(run.model, rows, tokens, str(path), book=book, most=most, seed=job.config.seed)
    if run.codec.level == "spaced":  # words that the text sets apart
        words = [[f"{token} " if token != "\n" else token for token in document] for document in found.tokens]
        found = replace(found, tokens=words)
    return found


def _is_han(text: str) -> bool:
    """Whether a text is mostly Chinese characters."""
    return sum("\u3400" <= character <= "\u9fff" for character in text) * 2 > len(text)
