"""The run directory: create, save, load. The only file that knows its names; docs/run-format.md describes them.

    run.json            what it is and how it was made
    config.json         every knob as it was used; `charlm train --config` takes it
    tokenizer.json, vocab.tsv
    model.safetensors   the best weights, and in its header the figures that belong to them
    resume/checkpoint.safetensors   everything needed to go on; may be deleted
    history.jsonl       one line per validation

Each file appears whole or not at all, and what must not come apart (weights and their figures, a checkpoint
and its place) shares a file.
"""

import dataclasses
import datetime
import json
import platform
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import charlm
from charlm import config as configs
from charlm import sampling, scoring, storage, tensorfiles
from charlm.codec import TOKENIZER_FILE, VOCAB_FILE, Codec
from charlm.config import SamplingConfig, TextConfig, TrainingConfig
from charlm.errors import CharlmError, RunError
from charlm.families import CONFIG_FILE, FAMILIES, MEMBERS_FOLDER, WEIGHTS_FILE
from charlm.models.base import LanguageModel, to_device
from charlm.training.devices import choose_device
from charlm.training.journal import Measured

FORMAT = 1
RUN_FILE, HISTORY_FILE = "run.json", "history.jsonl"
CHECKPOINT_FILE = Path("resume") / "checkpoint.safetensors"


@dataclass(frozen=True)
class RunConfig:
    """Every knob of a run.

    texts, valid  the files as they were named
    counts        folders of n-gram counts that were learned from instead; `without` of ones that were taken away
    model         a name of FAMILIES; `family` is its page of knobs
    """

    texts: tuple[str, ...]
    valid: tuple[str, ...]
    model: str
    text: TextConfig
    family: Any
    training: TrainingConfig
    counts: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Tables that `charlm train --config` understands."""
        return {
            "format": FORMAT,
            "model": self.model,
            "texts": list(self.texts),
            "valid": list(self.valid),
            **({"counts": list(self.counts), "without": list(self.without)} if self.counts else {}),
            "text": asdict(self.text),
            self.model: asdict(self.family),
            "training": asdict(self.training),
        }

    @classmethod
    def from_json(cls, content: Any) -> "RunConfig":
        """Raises ConfigError, KeyError or TypeError for what `to_json` did not write."""
        family = FAMILIES[content["model"]]
        return cls(
            texts=tuple(content["texts"]),
            valid=tuple(content["valid"]),
            model=content["model"],
            text=configs.build(TextConfig, content["text"]),
            family=configs.build(family.config, content[content["model"]]),
            training=configs.build(TrainingConfig, content["training"]),
            counts=tuple(content.get("counts", ())),
            without=tuple(content.get("without", ())),
        )


@dataclass(frozen=True)
class TextScore:
    """How likely one text is.

    log_prob  nats, the closing line end included
    tokens    predicted tokens
    unknown   the tokens of it that the vocabulary does not have
    charged   log_prob with 16 bits taken off for each UTF-16 unit of those: what to compare texts by
    """

    log_prob: float
    tokens: int
    unknown: list[str]
    charged: float


@dataclass
class Run:
    """A trained model with all that it needs: `charlm.load(path)`.

    model   a LanguageModel over ids
    codec   text to ids and back
    config  every knob as it was used
    facts   run.json
    best    the figures of the weights
    """

    path: Path
    codec: Codec
    model: LanguageModel
    config: RunConfig
    facts: dict[str, Any]
    best: dict[str, Any]

    @property
    def carried(self) -> bool:
        """Whether the state goes on from line to line, as it did in training."""
        return self.config.text.carries

    def score(self, texts: Iterable[str]) -> list[TextScore]:
        """How likely each text is, read by itself from the start."""
        encoded = [self.codec.line(text) for text in texts]
        found = scoring.log_probs_of_lines(self.model, (document.ids for document in encoded))
        scores = [scoring.score_of(document, log_probs) for document, log_probs in zip(encoded, found, strict=True)]
        return [
            TextScore(-score.nats, score.tokens, document.unknown, -score.charged_nats)
            for score, document in zip(scores, encoded, strict=True)
        ]

    def evaluate(self, documents: Iterable[str], *, report: scoring.Report | None = None) -> scoring.Score:
        """The Score of a text, in the context that the run was trained with."""
        return scoring.evaluate(self.model, self.codec, documents, carried=self.carried, report=report)

    def sample(self, prompt: str = "", count: int = 1, **knobs: Any) -> list[str]:
        """Texts that begin with `prompt`; knobs are those of SamplingConfig.

        Raises ConfigError for impossible knobs.
        """
        config = configs.build(SamplingConfig, knobs)
        ids, _ = self.codec.prompt(prompt)
        drawn = sampling.samples(self.model, ids, count, config, ends=self.codec.closing)
        return [self.text_of(prompt, sample.ids) for sample in drawn]

    def parts(self) -> list[tuple[str, "Run"]]:
        """The members of a mixture, each as if it stood alone; nothing for other models."""
        members = getattr(self.model, "members", ())
        weights = self.facts.get("tuned", {}).get("weights", {}) if isinstance(self.facts.get("tuned"), dict) else {}
        names = [*weights, *(f"member {number}" for number in range(len(weights) + 1, len(members) + 1))]
        return [(name, dataclasses.replace(self, model=model)) for name, model in zip(names, members, strict=False)]

    def text_of(self, prompt: str, ids: Sequence[int]) -> str:
        """The prompt as it was given, and the drawn ids after it."""
        known, _ = self.codec.prompt(prompt)
        whole, start = self.codec.decode([*known, *ids]), self.codec.decode(known)
        return prompt + whole.removeprefix(start)

    def to(self, device: torch.device) -> "Run":
        """The same run with its weights on `device`; count-based models stay on the CPU."""
        to_device(self.model, device)
        return self


def provenance(model: str, command: str) -> dict[str, Any]:
    """What every run.json begins with: the format, what made the run, when, and by which command."""
    return {
        "format": FORMAT,
        "charlm": charlm.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "model": model,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
    }


def problem(path: Path) -> Callable[[str], CharlmError]:
    """An error about a run directory, with the usual remedy."""
    return lambda reason: RunError(
        reason, hint=f"`charlm run check {path}` looks at every file; restore what is damaged"
    )


def read_facts(path: Path) -> dict[str, Any]:
    """run.json; raises RunError where `path` is no run of a format that this charlm knows."""
    tensorfiles.refuse_pickle(path)
    if not path.is_dir():
        near = sorted(p.name for p in path.parent.iterdir() if (p / RUN_FILE).is_file()) if path.parent.is_dir() else []
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
    facts = storage.read_json(path / RUN_FILE, error=problem(path))
    number = facts.get("format") if isinstance(facts, dict) else None
    if not isinstance(number, int):
        raise problem(path)(f"{path / RUN_FILE} names no format")
    if number > FORMAT:
        raise RunError(
            f"{path} has format {number}, made by charlm {facts.get('charlm', 'of a later version')}; "
            f"this charlm knows format {FORMAT}",
            hint="pip install --upgrade charlm",
        )
    return typing.cast(dict[str, Any], facts)


def read_config(path: Path) -> RunConfig:
    """config.json; raises RunError for what cannot be used."""
    content = storage.read_json(path / CONFIG_FILE, error=problem(path))
    try:
        return RunConfig.from_json(content)
    except (CharlmError, KeyError, TypeError, AttributeError) as error:
        raise problem(path)(f"{path / CONFIG_FILE} does not describe a run: {error}") from error


def load(path: str | Path, device: str = "cpu") -> Run:
    """Load a run: `charlm.load("checkpoints/tang")`.

    device  where its weights go: cpu, cuda, mps, or auto
    Raises RunError or VocabError where a file is missing, damaged, edited, foreign or of a newer format.
    """
    path = Path(path)
    facts = read_facts(path)
    config = read_config(path)
    if not (path / WEIGHTS_FILE).is_file():
        pickles = [p.name for p in path.iterdir() if p.suffix in tensorfiles.PICKLE_SUFFIXES]
        if pickles:
            tensorfiles.refuse_pickle(path / pickles[0])
        raise RunError(f"{path} has no {WEIGHTS_FILE}", hint=f"go on training it: charlm train --resume {path}")
    codec = Codec.load(path)
    best = check_vocab(path, codec)
    model = FAMILIES[config.model].load(config.family, len(codec.vocab), path)
    return Run(path, codec, model, config, facts, best).to(choose_device(device))


def check_vocab(path: Path, codec: Codec) -> dict[str, Any]:
    """The figures in the weights' header; raises RunError where they belong to another vocabulary."""
    best = tensorfiles.read_facts(path / WEIGHTS_FILE)
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
    names = {field.name for field in dataclasses.fields(Measured)}
    entries = []
    for line in storage.read_text(file, error=problem(path)).splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict) and names <= entry.keys() and isinstance(entry["step"], int):
            entries.append(entry)
    return entries


def check(path: Path) -> list[tuple[str, str | None]]:
    """Look at every file of a run: (what, None if it is sound, else what is wrong). Never raises CharlmError."""
    found: list[tuple[str, str | None]] = []

    def look(what: str, how: Callable[[], object]) -> None:
        try:
            how()
            found.append((what, None))
        except CharlmError as error:
            found.append((what, str(error)))

    look(RUN_FILE, lambda: read_facts(path))
    if found[0][1] is not None:
        return found
    look(CONFIG_FILE, lambda: read_config(path))
    look(f"{TOKENIZER_FILE}, {VOCAB_FILE}", lambda: Codec.load(path))
    look(f"{WEIGHTS_FILE} and all together", lambda: _look_inside(load(path)))
    if (path / MEMBERS_FOLDER).is_dir():
        look(f"{MEMBERS_FOLDER}, whole and as they were", lambda: _look_at_members(path))
    if (path / CHECKPOINT_FILE).is_file():
        look(str(CHECKPOINT_FILE), lambda: tensorfiles.read(path / CHECKPOINT_FILE))
    look(HISTORY_FILE, lambda: history(path))
    return found


def _look_inside(run: Run) -> None:
    """What loading does not look at, since it would have to read everything."""
    thorough = getattr(run.model, "check", None)
    wrong = thorough() if thorough is not None else None
    if wrong is not None:
        raise problem(run.path)(f"{run.path / WEIGHTS_FILE}: {wrong}")


def _look_at_members(path: Path) -> None:
    try:
        told = {str(member["name"]): dict(member["hashes"]) for member in read_facts(path)["members"]}
    except (KeyError, TypeError, ValueError) as error:
        raise problem(path)(f"{path / RUN_FILE} does not say what its members were") from error
    for name, digests in told.items():
        folder = path / MEMBERS_FOLDER / name
        changed = [file for file, digest in digests.items() if _hash(folder / file) != digest]
        if changed:
            raise problem(path)(f"{folder}: {', '.join(changed)} is not what was mixed")
        _look_inside(load(folder))
        if (folder / MEMBERS_FOLDER).is_dir():
            _look_at_members(folder)


def hashes(path: Path) -> dict[str, str]:
    """The SHA-256 of each file that is the model."""
    names = (RUN_FILE, CONFIG_FILE, TOKENIZER_FILE, VOCAB_FILE, WEIGHTS_FILE)
    return {name: storage.sha256_of(path / name) for name in names if (path / name).is_file()}


def _hash(path: Path) -> str | None:
    return storage.sha256_of(path) if path.is_file() else None
