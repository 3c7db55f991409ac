"""FAMILIES: the kinds of model, and how each is built, trained, kept and tried. The only file that knows them all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charlm import config as configs
from charlm import storage, tensorfiles
from charlm.choices import Choices
from charlm.config import MixtureConfig, NgramConfig, Precision, RecurrentConfig, TrainingConfig, UnigramConfig
from charlm.errors import CharlmError, ConfigError, RunError
from charlm.models.base import LanguageModel
from charlm.models.caches import NeuralCache, Traced, UnigramCache
from charlm.models.mixture import Mixture
from charlm.models.ngram import Ngram
from charlm.models.recurrent import Recurrent
from charlm.models.unigram import Unigram
from charlm.ngrams.columns import scratch_folder
from charlm.ngrams.counting import count
from charlm.ngrams.counts import Counts
from charlm.ngrams.smoothing import SMOOTHERS
from charlm.ngrams.tables import even, from_tensors
from charlm.scoring import evaluate_corpus
from charlm.training import counting, gradient
from charlm.training.gradient import Outcome, Texts
from charlm.training.journal import Journal, Measured, Report
from charlm.training.schedules import Place
from charlm.vocab import Vocab

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
MEMBERS_FOLDER = "members"


@dataclass(frozen=True)
class Job:
    """All that a family needs to learn: the texts, the settings, and whom to tell.

    family  the page of knobs of the family
    """

    texts: Texts
    vocab: Vocab
    family: Any
    training: TrainingConfig
    precision: Precision
    device: torch.device
    journal: Journal
    report: Report
    counts: Counts | None = None  # n-grams counted before, instead of a text


@dataclass(frozen=True)
class Family:
    """One kind of language model.

    config     its page of knobs
    fresh      (config, vocabulary, seed) -> a model that has learned nothing yet
    fit        trains a fresh model in place; its journal receives the weights
    load       (config, vocabulary size, run directory) -> a model, on the CPU, ready to be asked
    tiny       vocabulary size -> a model with a few parameters, for the contract tests
    """

    config: type
    fresh: Callable[[Any, Vocab, int], Any]
    fit: Callable[[Any, Job], Outcome]
    load: Callable[[Any, int, Path], LanguageModel]
    tiny: Callable[[int], LanguageModel]


def _checked(tensors: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """Refuse weights whose names or shapes are not those that the config asks for."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    if shapes != wanted:
        names = sorted(name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name))
        what = ", ".join(f"{n} is {shapes.get(n, 'missing')}, not {wanted.get(n, 'expected')}" for n in names[:3])
        raise RunError(
            f"{path} does not fit its config.json and vocab.tsv: {what}",
            hint="one of them was edited or comes from another run; restore them together",
        )


# ── recurrent ───────────────────────────────────────────────────────────────────────────────────


def _built(config: RecurrentConfig, vocab_size: int) -> Recurrent:
    """A network of this shape; raises ConfigError where no memory can hold it."""
    try:
        return Recurrent(config, vocab_size)
    except (RuntimeError, TypeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not any(word in str(error) for word in ("alloc", "verflow")):
            raise
        raise ConfigError(
            f"a network with --hidden {config.hidden} and --embedding {config.embedding} does not fit into memory",
            hint="try smaller ones; `charlm train --dry-run` tells what a network takes",
        ) from error


def _fresh_recurrent(config: RecurrentConfig, vocab: Vocab, seed: int) -> Recurrent:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _built(config, len(vocab))
    counts = torch.tensor(vocab.counts, dtype=torch.float64) + 1
    model.set_prior((counts / counts.sum()).log())
    return model


def _fit_recurrent(model: Recurrent, job: Job) -> Outcome:
    return gradient.fit(
        model,
        job.texts,
        job.training,
        precision=job.precision,
        device=job.device,
        journal=job.journal,
        report=job.report,
    )


def _load_recurrent(config: RecurrentConfig, vocab_size: int, folder: Path) -> Recurrent:
    tensors, _ = tensorfiles.read(folder / WEIGHTS_FILE)
    try:
        with torch.device("meta"):
            expected = _built(config, vocab_size).state_dict()
    except ConfigError as error:
        raise RunError(f"{folder}: {error}", hint="config.json was edited; restore it") from error
    _checked(tensors, expected, folder / WEIGHTS_FILE)
    with torch.random.fork_rng(devices=[]):
        model = Recurrent(config, vocab_size)
    model.load_state_dict(tensors)
    return model.eval()


def _tiny_recurrent(cell: str) -> Callable[[int], Recurrent]:
    def tiny(vocab_size: int) -> Recurrent:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            config = RecurrentConfig(cell=cell, layers=2, hidden=5, embedding=4)  # type: ignore[arg-type]
            return Recurrent(config, vocab_size).double().eval()

    return tiny


# ── n-gram ──────────────────────────────────────────────────────────────────────────────────────


def _fresh_ngram(config: NgramConfig, vocab: Vocab, seed: int) -> Ngram:
    return Ngram(even(len(vocab)))


def _fit_ngram(model: Ngram, job: Job) -> Outcome:
    return counting.fit(model, job.texts, job.family, journal=job.journal, report=job.report, counts=job.counts)


def _load_ngram(config: NgramConfig, vocab_size: int, folder: Path) -> Ngram:
    arrays, _ = tensorfiles.map_rows(folder / WEIGHTS_FILE)
    uniform = config.smoothing in SMOOTHERS and SMOOTHERS[config.smoothing].uniform
    return Ngram(from_tensors(arrays, vocab_size, uniform=uniform, source=str(folder / WEIGHTS_FILE)))


def _tiny_ngram(vocab_size: int) -> Ngram:
    text = np.array([number % vocab_size for number in (2, 3, 4, 2, 3, 5, 0, 2, 3, 4, 6, 0, 5, 2, 3, 0, 6, 6, 1, 0)])
    beginnings = np.flatnonzero(np.roll(text, 1) == 0)
    with scratch_folder() as scratch:
        found = count(text, beginnings, vocab_size, 3, memory=1 << 20, scratch=scratch)
        tables = counting.learn(found, NgramConfig(order=3, smoothing="witten-bell"), scratch, lambda _: None)
    return Ngram(tables)


# ── unigram ─────────────────────────────────────────────────────────────────────────────────────


def _fresh_unigram(config: UnigramConfig, vocab: Vocab, seed: int) -> Unigram:
    return Unigram.from_counts([0] * len(vocab), config)


def _fit_unigram(model: Unigram, job: Job) -> Outcome:
    counts = torch.zeros(model.vocab_size, dtype=torch.int64)
    ids = job.texts.train.ids
    for start in range(0, len(ids), 1 << 22):
        part = torch.from_numpy(ids[start : start + (1 << 22)].astype("int64"))
        counts += torch.bincount(part, minlength=model.vocab_size)
    model.count(counts)
    measured = Measured(step=1, epoch=1.0, seconds=0.0, learning_rate=0.0, train_nats=None)
    if job.texts.valid is not None:
        score = evaluate_corpus(model, job.texts.valid, carried=job.texts.carried)
        measured = Measured(
            step=1,
            epoch=1.0,
            seconds=0.0,
            learning_rate=0.0,
            train_nats=None,
            valid_nats=score.nats / score.tokens,
            valid_bits_per_char=score.bits_per_char,
            is_best=True,
        )
    job.journal.keep({"counts": counts}, measured)
    job.journal.record(measured)
    job.report(measured)
    return Outcome(Place(step=1, epoch=1), measured, None)


def _load_unigram(config: UnigramConfig, vocab_size: int, folder: Path) -> Unigram:
    tensors, _ = tensorfiles.read(folder / WEIGHTS_FILE)
    _checked(tensors, {"counts": torch.empty(vocab_size)}, folder / WEIGHTS_FILE)
    if bool((tensors["counts"] < 0).any()):
        raise RunError(f"{folder / WEIGHTS_FILE} holds counts below zero", hint="restore it from a copy of the run")
    return Unigram.from_counts(tensors["counts"].tolist(), config)


def _tiny_unigram(vocab_size: int) -> Unigram:
    return Unigram.from_counts(range(vocab_size), UnigramConfig())


# ── mixture ─────────────────────────────────────────────────────────────────────────────────────


def build_mixture(
    members: Sequence[LanguageModel], vocab_size: int, config: MixtureConfig, neural: npt.NDArray[np.float64]
) -> list[LanguageModel]:
    """What a mixture adds up: its members, those with a neural cache wrapped in it, and a unigram cache.

    neural  (members, 2)  theta and weight of each member's neural cache; weight 0 where it has none
    """
    parts: list[LanguageModel] = []
    for member, (theta, weight) in zip(members, neural.tolist(), strict=True):
        wrapped = config.neural_cache and weight > 0
        parts.append(
            NeuralCache(cast(Traced, member), theta=theta, weight=weight, window=config.neural_cache)
            if wrapped
            else member
        )
    if config.cache:
        parts.append(UnigramCache(vocab_size, window=config.cache, decay=config.cache_decay))
    return parts


def guide_of(parts: Sequence[LanguageModel], config: MixtureConfig) -> int | None:
    """Which part tells contexts apart; None where none can, or none shall."""
    guides = [number for number, part in enumerate(parts) if hasattr(part, "classes")]
    return guides[0] if guides and config.by_context else None


def _not_trained() -> ConfigError:
    return ConfigError("a mixture is not trained but mixed", hint="charlm run mix RUN RUN --tune TEXT --run DIR")


def _fresh_mixture(config: MixtureConfig, vocab: Vocab, seed: int) -> Mixture:
    raise _not_trained()


def _fit_mixture(model: Mixture, job: Job) -> Outcome:
    raise _not_trained()


def _load_mixture(config: MixtureConfig, vocab_size: int, folder: Path) -> Mixture:
    tensors, facts = tensorfiles.read(folder / WEIGHTS_FILE)

    def problem(reason: str) -> RunError:
        return RunError(reason, hint=f"`charlm run check {folder}` looks at every file; restore what is damaged")

    inside = folder / MEMBERS_FOLDER
    folders = (
        sorted((p for p in inside.iterdir() if p.is_dir() and p.name[0] != "."), key=_number) if inside.is_dir() else []
    )
    members: list[LanguageModel] = []
    for member in folders:
        content = storage.read_json(member / CONFIG_FILE, error=problem)
        try:
            family = FAMILIES[content["model"]]
            page: Any = configs.build(family.config, content[content["model"]])
        except (CharlmError, KeyError, TypeError) as error:
            raise problem(f"{member / CONFIG_FILE} does not describe a model: {error}") from error
        if tensorfiles.read_facts(member / WEIGHTS_FILE).get("codec") != facts.get("codec"):
            raise problem(f"{member} has another vocabulary than the mixture")
        members.append(family.load(page, vocab_size, member))
    weights, neural = tensors.get("weights"), tensors.get("neural")
    if weights is None or neural is None or not members or tuple(neural.shape) != (len(members), 2):
        raise problem(f"{folder}: its weights are not those of the {len(members)} members that are there")
    try:
        parts = build_mixture(members, vocab_size, config, neural.double().numpy())
        return Mixture(parts, weights, guide=guide_of(parts, config))
    except ConfigError as error:
        raise problem(f"{folder / WEIGHTS_FILE} does not fit its members: {error}") from error


def _number(member: Path) -> tuple[int, str]:
    head = member.name.partition("-")[0]
    return (int(head) if head.isdecimal() else 0, member.name)


def _tiny_mixture(vocab_size: int) -> Mixture:
    parts: list[LanguageModel] = [
        _tiny_ngram(vocab_size),
        _tiny_recurrent("gru")(vocab_size),
        UnigramCache(vocab_size, window=3, decay=0.9),
    ]
    classes = _tiny_ngram(vocab_size).class_count
    weights = torch.linspace(1, 2, classes * 3, dtype=torch.float64).reshape(classes, 3)
    return Mixture(parts, weights / weights.sum(1, keepdim=True), guide=0)


FAMILIES: Choices[Family] = Choices(
    "model",
    {
        "recurrent": Family(
            RecurrentConfig, _fresh_recurrent, _fit_recurrent, _load_recurrent, _tiny_recurrent("lstm")
        ),
        "ngram": Family(NgramConfig, _fresh_ngram, _fit_ngram, _load_ngram, _tiny_ngram),
        "mixture": Family(MixtureConfig, _fresh_mixture, _fit_mixture, _load_mixture, _tiny_mixture),
        "unigram": Family(UnigramConfig, _fresh_unigram, _fit_unigram, _load_unigram, _tiny_unigram),
    },
)
