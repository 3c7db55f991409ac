"""Text files to a trained run: the whole path, for the command line and for Python alike."""

import datetime
import platform
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

import charlm
from charlm import census, corpus, runs, storage, text
from charlm.codec import Codec
from charlm.config import Precision, RecurrentConfig, TrainingConfig
from charlm.corpus import Corpus
from charlm.errors import ConfigError, RunError, TextError, TrainingError
from charlm.families import FAMILIES, Job
from charlm.models.recurrent import Recurrent
from charlm.runs import Run, RunConfig, RunJournal
from charlm.survey import Overlap, Survey
from charlm.text import Note, Part
from charlm.training.devices import choose_device, choose_precision
from charlm.training.gradient import Outcome, Texts
from charlm.training.journal import Event, Journal, MemoryJournal, Progress, Report


def _nothing(_: object) -> None:
    """Tell nobody."""


def _no_signal() -> int | None:
    """Nobody asks to stop."""
    return None


@dataclass(frozen=True)
class Watcher:
    """Who is told what happens, and who may ask to stop.

    report  events of the training
    note    single sentences about choices and findings
    signal  the signal that asks to stop, if one came
    """

    report: Report = _nothing
    note: Note = _nothing
    signal: Callable[[], int | None] = _no_signal


@dataclass(frozen=True)
class Prepared:
    """Text that is ready to be learned: codec, corpora, and what was found on the way."""

    codec: Codec
    texts: Texts
    facts: dict[str, Any]


def prepare(config: RunConfig, vocab_folder: Path | None, note: Note) -> Prepared:
    """Read, count and encode the texts of a config, in a few passes and flat memory.

    vocab_folder  a vocabulary made by `charlm vocab`, instead of one from this text
    Raises TextError, VocabError or ConfigError.
    """
    files = _plain_files(config.texts)
    valid_files = _plain_files(config.valid) if config.valid else []
    split = not valid_files

    def train_documents(note: Note = _nothing) -> Iterable[str]:
        return (
            text.part(files, config.text, "train", note=note)
            if split
            else text.documents(files, config.text, note=note)
        )

    def valid_documents(note: Note = _nothing) -> Iterable[str]:
        if split:
            return text.part(files, config.text, "valid", note=note)
        return text.documents(valid_files, config.text, note=note)

    codec = None
    if vocab_folder is not None:
        codec = Codec.load(vocab_folder)
        if codec.reading != config.text.reading:
            raise ConfigError(
                f"the vocabulary in {vocab_folder} was made for --reading {codec.reading}, not {config.text.reading}",
                hint="give the same --reading to `charlm vocab` and `charlm train`",
            )
    overlap = Overlap(valid_documents() if not split and config.text.reading == "lines" else ())
    survey = Survey()
    documents = overlap.watch(train_documents(note))
    facts: dict[str, Any] = {}
    if codec is None:
        taken = census.take(documents, config.text, survey)
        codec, loss = taken.codec, taken.loss
        lost = f"; {loss.types:,} rarer ones become <UNK>, {loss.rate:.2%} of the text" if loss.types else ""
        note(f"vocabulary: {len(codec.vocab):,} tokens{lost}")
    else:
        for _ in survey.watch(documents):
            pass
    for finding in survey.findings():
        note(f"in the text: {finding}")
    if overlap.count:
        note(f"{overlap.count:,} validation documents also stand in the training text: figures will flatter")

    def encoded(part: Part, which: list[str], source: Callable[[], Iterable[str]]) -> Corpus:
        settings = (
            part if split else "whole",
            config.text.reading,
            config.text.encoding,
            config.text.field,
            config.text.simplify,
        )
        return corpus.encode(source, codec, corpus.key_of(which, settings, codec))

    train = encoded("train", files, train_documents)
    try:
        valid = encoded("valid", valid_files or files, valid_documents)
    except TextError:
        if not split:
            raise TextError(
                f"the validation text {config.valid[0]} is empty", hint="leave --valid out to split the text"
            ) from None
        valid = None
        note("the text is too short to hold a part back: nothing will be measured, and the last weights are kept")
    where = "the last tenth of the stream" if config.text.reading == "stream" else "5 % of the documents, by hash"
    facts |= {
        "corpus": {"key": train.sha256, **asdict(train.facts)},
        "valid": {"from": where if split else "its own file", **asdict(valid.facts)} if valid else None,
        "overlap": overlap.count if not split else 0,
        "vocab_size": len(codec.vocab),
    }
    return Prepared(codec, Texts(train, valid, config.text.carries), facts)


def _plain_files(sources: Iterable[str]) -> list[str]:
    files = text.source_files(sources)
    if not text.can_be_read_twice(files):
        raise TextError(
            "training reads its text several times, but stdin and pipes flow by only once",
            hint="write it to a file first: COMMAND > text.txt; charlm train text.txt",
        )
    return files


def train(
    config: RunConfig,
    path: Path,
    *,
    vocab_folder: Path | None = None,
    init_from: Path | None = None,
    command: str = "",
    watcher: Watcher = Watcher(),
) -> Outcome:
    """Train a model on text files and keep it in the run directory `path`.

    Raises RunError where `path` exists; nothing is ever overwritten.
    """
    if path.exists():
        raise runs.name_taken(path)
    prepared = prepare(config, vocab_folder, watcher.note)
    family = FAMILIES[config.model]
    model = family.fresh(config.family, prepared.codec.vocab, config.training.seed)
    if init_from is not None:
        start_from(model, prepared.codec, init_from, watcher.note)
    device, precision = _machine(config.training)
    facts = {
        "format": runs.FORMAT,
        "charlm": charlm.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "model": config.model,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
        "seed": config.training.seed,
        "device": str(device),
        "precision": precision,
        "parameters": parameters(model),
        **prepared.facts,
        "ended": None,
    }
    journal = RunJournal(path, config, prepared.codec, facts, watcher.signal)
    return _fit(model, config, prepared, journal, device, precision, watcher)


def resume(path: Path, budget: dict[str, Any], texts: tuple[str, ...] = (), watcher: Watcher = Watcher()) -> Outcome:
    """Go on with a run where it stopped.

    budget  {"epochs" | "steps" | "minutes": amount} to give it more, or nothing
    texts   where the text is now, if it was moved; it must be the same text
    Raises RunError where the run cannot go on, TrainingError where the text has changed.
    """
    facts = runs.read_facts(path)
    config = runs.read_config(path)
    if texts:
        config = replace(config, texts=tuple(str(Path(name).resolve()) for name in texts))
    if budget:
        training = replace(config.training, epochs=None, steps=None, minutes=None)
        config = replace(config, training=replace(training, **budget))
    if not (path / runs.CHECKPOINT_FILE).is_file():
        raise RunError(
            f"{path} has no {runs.CHECKPOINT_FILE}, so it cannot go on",
            hint=f"begin anew from its weights: charlm train TEXT --init-from {path} --run ANOTHER",
        )
    prepared = prepare(config, path, watcher.note)
    if prepared.facts["corpus"]["key"] != facts["corpus"]["key"]:
        raise TrainingError(
            f"the text has changed since {path} was begun; going on would not be the same training",
            hint=f"restore the text, or begin anew: charlm train TEXT --init-from {path} --run ANOTHER",
        )
    model = FAMILIES[config.model].fresh(config.family, prepared.codec.vocab, config.training.seed)
    device = choose_device(config.training.device)
    journal = RunJournal(path, config, prepared.codec, facts, watcher.signal)
    if budget:
        storage.write_json(path / runs.CONFIG_FILE, config.to_json())
    return _fit(model, config, prepared, journal, device, cast(Precision, facts["precision"]), watcher)


def _fit(
    model: Any,
    config: RunConfig,
    prepared: Prepared,
    journal: RunJournal,
    device: torch.device,
    precision: Precision,
    watcher: Watcher,
) -> Outcome:
    job = _job(config, prepared, journal, device, precision, watcher.report)
    outcome = FAMILIES[config.model].fit(model, job)
    ended = "its budget was used up" if outcome.signal is None else f"signal {outcome.signal}"
    journal.finish({"ended": ended, "step": outcome.place.step, "seconds": round(outcome.place.seconds, 1)})
    return outcome


def _job(
    config: RunConfig, prepared: Prepared, journal: Journal, device: torch.device, precision: Precision, report: Report
) -> Job:
    return Job(prepared.texts, prepared.codec.vocab, config.training, precision, device, journal, report)


def _machine(config: TrainingConfig) -> tuple[torch.device, Precision]:
    device = choose_device(config.device)
    return device, choose_precision(config.precision, device)


def parameters(model: Any) -> int:
    """Numbers that a model learns; 0 for count-based ones."""
    return sum(p.numel() for p in model.parameters()) if isinstance(model, nn.Module) else 0


def start_from(model: Any, codec: Codec, path: Path, note: Note) -> None:
    """Take over the weights of another run, the rows of the vocabulary token by token.

    Tokens that the other run did not know keep their fresh start. Raises RunError where the networks differ.
    """
    other = runs.load(path)
    if not isinstance(model, Recurrent) or not isinstance(other.model, Recurrent):
        raise RunError(f"--init-from {path}: only recurrent models have weights to begin from", hint="leave it out")
    shape = ("cell", "layers", "hidden", "embedding", "tied", "learned_start")
    mine, theirs = asdict(model.config), asdict(other.model.config)
    differing = [f"--{name} {theirs[name]}" for name in shape if mine[name] != theirs[name]]
    if differing:
        raise RunError(f"{path} is another network", hint=f"train with {' '.join(differing)}")
    shared = [(codec.vocab.ids[t], row) for t, row in other.codec.vocab.ids.items() if t in codec.vocab.ids]
    here, there = (torch.tensor(rows) for rows in zip(*shared, strict=True))
    weights = other.model.state_dict()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.shape[0] == model.vocab_size and name in ("embedding.weight", "output.weight", "bias"):
                tensor[here] = weights[name][there]
            else:
                tensor.copy_(weights[name])
    new, dropped = len(codec.vocab) - len(shared), len(other.codec.vocab) - len(shared)
    note(f"began from {path}: {len(shared):,} tokens kept, {new:,} new, {dropped:,} left behind")


@dataclass(frozen=True)
class Estimate:
    """What a training would take, from a short trial on this machine.

    memory  bytes: weights, gradient and both averages of AdamW, plus what the trial added
    """

    parameters: int
    tokens: int
    tokens_per_second: float
    seconds: float
    memory: int
    device: str
    precision: str


@dataclass
class _Speed:
    """Listens to a trial; the first steps warm the machine up and do not count."""

    events: list[Progress] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.events.append(event)

    @property
    def step_seconds(self) -> float:
        warm = self.events[2:] or self.events
        first = self.events[1] if len(self.events) > 2 else None
        before = first.place.seconds if first else 0.0
        return (warm[-1].place.seconds - before) / len(warm)


def estimate(config: RunConfig, *, vocab_folder: Path | None = None, watcher: Watcher = Watcher()) -> Estimate:
    """Prepare the text, train for a few seconds without keeping anything, and extrapolate.

    Raises ConfigError for a model that is not trained by gradient.
    """
    if config.family.__class__ is not RecurrentConfig:
        raise ConfigError(f"--dry-run is for networks; --model {config.model} takes seconds", hint="just train it")
    prepared = prepare(config, vocab_folder, watcher.note)
    model = FAMILIES[config.model].fresh(config.family, prepared.codec.vocab, config.training.seed)
    device, precision = _machine(config.training)
    before = storage.peak_memory()
    trial = replace(config.training, epochs=None, steps=8, minutes=None)
    speed = _Speed()
    texts = replace(prepared.texts, valid=None)
    job = _job(
        replace(config, training=trial), replace(prepared, texts=texts), MemoryJournal(), device, precision, speed
    )
    FAMILIES[config.model].fit(model, job)
    tokens = prepared.texts.train.facts.tokens
    step_tokens = min(config.training.batch_size * config.training.window, tokens)
    per_second = step_tokens / speed.step_seconds
    if config.training.minutes is not None:
        seconds = config.training.minutes * 60
    elif config.training.steps is not None:
        seconds = config.training.steps * speed.step_seconds
    else:
        seconds = (config.training.epochs or 10) * tokens / per_second
    added = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else storage.peak_memory() - before
    memory = max(added, parameters(model) * 16)
    return Estimate(parameters(model), tokens, per_second, seconds, memory, str(device), precision)


def describe(run: Run) -> dict[str, Any]:
    """What a run is, how it was made, and how good it is: `charlm run info`."""
    best = {key: value for key, value in run.best.items() if key not in ("codec", "is_best")}
    return {"path": str(run.path), **run.facts, "context": "carried" if run.carried else "line", "best": best,
            "reading": run.codec.reading, "level": run.codec.level, "knobs": run.config.to_json()}  # fmt: skip
