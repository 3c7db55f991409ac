"""The names of a run directory, and what stands in its small files; docs/run-format.md describes them.

    run.json            what it is and how it was made
    config.json         every knob as it was used; `charlm train --config` takes it
    tokenizer.json, vocab.tsv
    model.safetensors   the best weights, and in its header the figures that belong to them
    resume/checkpoint.safetensors   everything needed to go on; may be deleted
    history.jsonl       one line per validation

Each file appears whole or not at all, and what must not come apart (weights and their figures, a checkpoint
and its place) shares a file.
"""

import typing
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import charlm
from charlm import jsonfiles, storage, tensorfiles
from charlm.config.knobs import build
from charlm.config.models import MODELS
from charlm.config.text import TextConfig
from charlm.config.training import TrainingConfig
from charlm.errors import CharlmError, RunError
from charlm.families import CONFIG_FILE, WEIGHTS_FILE
from charlm.text.codec import TOKENIZER_FILE, VOCAB_FILE, Codec
from charlm.training.journal import ENTRY

FORMAT = 1
OWN_RUN = Path(charlm.__file__).parent / "checkpoints" / "verse"  # its README.md tells how it was made

RUN_FILE, HISTORY_FILE = "run.json", "history.jsonl"

CHECKPOINT_FILE = Path("resume") / "checkpoint.safetensors"

# What each file must say, as `jsonfiles.misfit` reads it, so that every command can use what `check` accepts.
_NUMBER = (float, type(None))
_TEXT = {"documents": int, "tokens": int}
FACTS = {
    "format": int,
    "charlm": str,
    "torch": str,
    "model": str,
    "created": str,
    "command": str,
    "device": str,
    "precision": str,
    "workers?": int,
    "paced?": bool,
    "parameters": int,
    "corpus": {"key": str, **_TEXT},
    "valid": ({"from": str, **_TEXT}, type(None)),
    "control?": {"key": str, "counts": {"*": int}},
    "told?": {"*": float},
    "more?": [{"from": str, "weight": float, "key": str, **_TEXT}],
    "weights?": str,
    "vocab_size": int,
    "habits?": {"*": int},
    "embeddings?": {"from": str, "sha256": str, "found": int, "frozen": bool},
    "ended": (str, type(None)),
    "seconds?": _NUMBER,
    "usage?": {"*": float},
    "imported?": {"from": str},
    "members?": [{"name": str, "model": str, "temperature?": float, "hashes": {"*": str}}],
    "tuned?": {"weights": {"*": float}},
}
CONFIG = {"model": str, "texts": [str], "valid": [str], "counts?": [str], "without?": [str], "more?": [str]}
FIGURES = {"step": int, "epoch": float, "valid_nats?": _NUMBER, "valid_bits_per_char?": _NUMBER}
LARGEST_FIGURE = 1e300  # of a history; beyond it no axis can be drawn


@dataclass(frozen=True)
class RunConfig:
    """Every knob of a run.

    texts, valid  the files as they were named
    more          other text of the kind, FILE:WEIGHT
    counts        folders of n-gram counts that were learned from instead; `without` of ones that were taken away
    model         a name of MODELS; `family` is its page of knobs
    """

    texts: tuple[str, ...]
    valid: tuple[str, ...]
    model: str
    text: TextConfig
    family: Any
    training: TrainingConfig
    counts: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Tables that `charlm train --config` understands."""
        return {
            "format": FORMAT,
            "model": self.model,
            "texts": list(self.texts),
            "valid": list(self.valid),
            **({"counts": list(self.counts), "without": list(self.without)} if self.counts else {}),
            **({"more": list(self.more)} if self.more else {}),
            "text": asdict(self.text),
            self.model: asdict(self.family),
            "training": asdict(self.training),
        }

    @classmethod
    def from_json(cls, content: Any) -> "RunConfig":
        """Raises ConfigError, KeyError or TypeError for what `to_json` did not write."""
        page = MODELS[content["model"]].page
        return cls(
            texts=tuple(content["texts"]),
            valid=tuple(content["valid"]),
            model=content["model"],
            text=build(TextConfig, content["text"]),
            family=build(page, content[content["model"]]),
            training=build(TrainingConfig, content["training"]),
            counts=tuple(content.get("counts", ())),
            without=tuple(content.get("without", ())),
            more=tuple(content.get("more", ())),
        )


def problem(path: Path) -> Callable[[str], CharlmError]:
    """An error about a run directory, with the usual remedy."""
    return lambda reason: RunError(
        reason, hint=f"`charlm run check {path}` looks at every file; restore what is damaged"
    )


def read_facts(path: Path) -> dict[str, Any]:
    """run.json; raises RunError where `path` is no run of a format that this charlm knows."""
    tensorfiles.refuse_pickle(path)
    if not storage.is_folder(path):
        near = _runs_in(path.parent)
        there = (
            f"in {path.parent} there are: {', '.join(near[:8])}" if near else "`charlm train TEXT --run DIR` makes one"
        )
        raise RunError(f"no run directory at {path}", hint=there)
    if not (path / RUN_FILE).is_file():
        what = (
            "holds a vocabulary, not a run"
            if (path / VOCAB_FILE).is_file()
            else "is no run directory: run.json is missing"
        )
        raise RunError(f"{path} {what}", hint="`charlm train TEXT --run DIR` makes a run")
    facts = jsonfiles.read(path / RUN_FILE, error=problem(path))
    number = facts.get("format") if isinstance(facts, dict) else None
    if not isinstance(number, int):
        raise problem(path)(f"{path / RUN_FILE} names no format")
    if number > FORMAT:
        raise RunError(
            f"{path} has format {number}, made by charlm {facts.get('charlm', 'of a later version')}; "
            f"this charlm knows format {FORMAT}",
            hint="pip install --upgrade charlm",
        )
    if wrong := jsonfiles.misfit(FACTS, facts):
        raise problem(path)(f"{path / RUN_FILE} does not describe a run: {wrong}")
    return typing.cast(dict[str, Any], facts)


def _runs_in(folder: Path) -> list[str]:
    """The names of the runs in a folder, as far as it may be looked into."""
    try:
        return sorted(path.name for path in folder.iterdir() if storage.is_file(path / RUN_FILE))
    except OSError:
        return []


def read_config(path: Path) -> RunConfig:
    """config.json; raises RunError for what cannot be used."""
    content = jsonfiles.read(path / CONFIG_FILE, error=problem(path), shape=CONFIG)
    try:
        return RunConfig.from_json(content)
    except (CharlmError, KeyError, TypeError, AttributeError) as error:
        raise problem(path)(f"{path / CONFIG_FILE} does not describe a run: {error}") from error


def check_vocab(path: Path, codec: Codec) -> dict[str, Any]:
    """The figures in the weights' header; raises RunError where they belong to another vocabulary."""
    best = tensorfiles.read_facts(path / WEIGHTS_FILE)
    if wrong := jsonfiles.misfit(FIGURES, best):
        raise problem(path)(f"{path / WEIGHTS_FILE}: in its figures {wrong}")
    if best.get("codec") not in (None, codec.fingerprint()):
        raise RunError(
            f"{path}: {TOKENIZER_FILE} or {VOCAB_FILE} is not the one that the weights were trained with",
            hint="restore both from a copy of the run; edited, they would give every token another meaning",
        )
    return best


def history(path: Path) -> list[dict[str, Any]]:
    """The validations of a run, oldest first; a line cut short by a crash is passed over."""
    file = path / HISTORY_FILE
    if not file.is_file():
        return []
    entries = []
    for line in storage.read_text(file, error=problem(path)).splitlines():
        try:
            entry = jsonfiles.parse(line)
        except ValueError:
            continue
        if jsonfiles.misfit(ENTRY, entry) is None and all(_drawable(entry.get(name.rstrip("?"))) for name in ENTRY):
            entries.append(entry)
    return entries


def _drawable(number: float | None) -> bool:
    return number is None or abs(number) < LARGEST_FIGURE  # not so for nan


def hashes(path: Path) -> dict[str, str]:
    """The SHA-256 of each file that is the model."""
    names = (RUN_FILE, CONFIG_FILE, TOKENIZER_FILE, VOCAB_FILE, WEIGHTS_FILE)
    return {name: storage.sha256_of(path / name) for name in names if (path / name).is_file()}


def run_or_own(path: Path | None) -> Path:
    """The run that was named, or the one of verse that charlm brings. Raises RunError where that was not installed."""
    if path is not None:
        return path
    if not storage.is_folder(OWN_RUN):
        raise RunError(
            f"no run was named, and the one that charlm brings is not at {OWN_RUN}",
            hint="name one that was trained on verse, or install charlm again",
        )
    return OWN_RUN
