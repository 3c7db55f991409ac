"""Runs to a mixture of runs: weights tuned on a text, members kept whole. `charlm run mix`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from charlm import jsonfiles, scoring, storage, tensorfiles
from charlm.config.models import MixtureConfig
from charlm.errors import ConfigError, TextError
from charlm.families import CONFIG_FILE, MEMBERS_FOLDER, WEIGHTS_FILE
from charlm.families.mixture import build_mixture, guide_of
from charlm.jobs.evaluate import Evaluation
from charlm.jobs.sharpen import read_by, tune_neural_cache, tune_temperature
from charlm.models.base import LanguageModel
from charlm.models.caches import Traced
from charlm.models.mixture import Classifier
from charlm.models.network import Network
from charlm.models.tempered import Tempered
from charlm.runs.layout import RUN_FILE, RunConfig, hashes
from charlm.runs.run import Run
from charlm.runs.run import load as load_run
from charlm.runs.writing import copy_run, name_taken, provenance, refuse_name
from charlm.shapes import Ids, LogProbs, State
from charlm.text.corpus import Facts
from charlm.training import em
from charlm.training.journal import Measured


@dataclass(frozen=True)
class Tuned:
    """What tuning found: nats per token on the text it was tuned on.

    members  names, in the order of the weights
    weights  (C, M)
    shares   the mean weight of each member over the tokens of the text
    alone    nats per token of each member
    nats     of the mixture; `at_first` with equal weights
    """

    members: list[str]
    weights: npt.NDArray[np.float64]
    shares: list[float]
    alone: list[float]
    nats: float
    at_first: float
    tokens: int


def mix(paths: Sequence[Path], output: Path, config: MixtureConfig, job: Evaluation, *, command: str) -> Tuned:
    """Mix runs over one vocabulary, and keep the mixture in the run directory `output`.

    job  the text that the weights are tuned on, and in which context it is read
    Raises ConfigError where the runs do not go together, RunError where `output` exists or a run is damaged.
    """
    refuse_name(output)
    storage.refuse_as_folder(output, "--run")
    if storage.exists(output):
        raise name_taken(output)
    if not paths:
        raise ConfigError("no run was given to be mixed", hint="give two or more")
    members = _alike([load_run(path) for path in paths])
    first = members[0]
    ids = [first.codec.encode(document).ids for document in job.documents(first)]
    if not any(ids):
        raise TextError(f"{job.source} holds nothing to tune weights on", hint="give a validation text")
    carried = job.carried(first)
    neural, temperatures = np.zeros((len(members), 2)), np.ones(len(members))
    for number, run in enumerate(members):
        model = run.model
        if not hasattr(model, "trace"):  # no network
            continue
        said: Any = model
        if config.temper:
            degree = tune_temperature(cast(Network, model), ids, carried)
            temperatures[number] = degree.temperature
            said = Tempered(model, temperatures[number])
            gain = f"{scoring.perplexity_of(degree.before):,.2f} → {scoring.perplexity_of(degree.after):,.2f}"
            part = f" on its first {degree.tokens:,} tokens" if degree.tokens < sum(map(len, ids)) else ""
            job.note(f"{run.path.name}: temperature {degree.temperature:.3f}, perplexity {gain}{part}")
        if config.neural_cache:
            neural[number] = tune_neural_cache(cast(Traced, said), config.neural_cache, ids, carried)
            theta, weight = neural[number]
            job.note(f"{run.path.name}: neural cache with theta {theta:g} and weight {weight:.3f}")
    if config.temper and not any(hasattr(run.model, "trace") for run in members):
        job.note("--temper is for networks, and none is among the runs")
    parts = build_mixture([run.model for run in members], len(first.codec.vocab), config, neural, temperatures)
    names = _names(members, config)
    digests = [hashes(run.path) for run in members]
    if len(parts) == 1 and parts[0] is first.model:
        job.note(f"{first.path} alone is no mixture: the new run says what it says; add another run, or --cache")
    for number, same in enumerate(map(digests.index, digests)):
        if same < number:
            job.note(f"{names[number]} is the same run as {names[same]}: it only takes over a part of its weight")
    log_probs = np.stack([read_by(model, ids, carried) for model in parts], axis=1)
    guide = guide_of(parts, config)
    classes, class_count = None, 1
    if guide is not None:
        classifier = cast(Classifier, parts[guide])
        classes, class_count = read_by(_Classes(parts[guide]), ids, carried).astype(np.int64), classifier.class_count
    found = em.fit(log_probs, classes, class_count)
    if not found.history:
        raise TextError(f"no run holds anything of {job.source} possible", hint="give another text, or smooth the runs")
    if found.impossible:
        job.note(f"{found.impossible:,} tokens that no run holds possible are left out of the figures")
    rows = found.weights[classes if classes is not None else np.zeros(len(log_probs), dtype=np.int64)]
    tuned = Tuned(
        names,
        found.weights,
        rows.mean(axis=0).tolist(),
        (-log_probs.mean(axis=0)).tolist(),
        found.nats,
        found.history[0],
        len(log_probs),
    )
    _save(members, digests, output, config, neural, temperatures, tuned, job, command)
    return tuned


def _alike(members: list[Run]) -> list[Run]:
    first = members[0]
    for run in members[1:]:
        if run.codec.reverse != first.codec.reverse:
            one, other = (run, first) if run.codec.reverse else (first, run)
            raise ConfigError(
                f"{one.path} reads lines backwards and {other.path} does not: they predict other tokens after other "
                "contexts, and what they say cannot be added token by token",
                hint="mix backward runs with backward ones; `charlm score` adds up what both say of a whole candidate",
            )
        if run.codec.fingerprint() != first.codec.fingerprint():
            raise ConfigError(
                f"{run.path} and {first.path} have different vocabularies, so their probabilities cannot be added",
                hint=f"train one with the vocabulary of the other: charlm train TEXT --vocab {first.path}",
            )
        if run.carried != first.carried:
            raise ConfigError(
                f"{run.path} and {first.path} differ in whether they read on from line to line",
                hint="train both with the same --context",
            )
    # Whichever stands first: what one of them never met unconverted, none can know.
    text = replace(first.config.text, simplify=any(run.config.text.simplify for run in members))
    return [replace(first, config=replace(first.config, text=text)), *members[1:]]


def _names(members: list[Run], config: MixtureConfig) -> list[str]:
    names = [f"{number}-{run.path.resolve().name}" for number, run in enumerate(members, 1)]
    return [*names, "cache"] if config.cache else names


class _Classes:
    """A guide that says the class of each context where a model says a log-probability."""

    def __init__(self, guide: LanguageModel) -> None:
        self.guide = guide
        self.vocab_size = guide.vocab_size
        self.initial_state, self.step = guide.initial_state, guide.step

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        classes = cast(Classifier, self.guide).classes(inputs, state)
        return classes.double(), self.guide.score(inputs, targets, state)[1]


def _save(
    members: list[Run],
    digests: list[dict[str, str]],
    output: Path,
    config: MixtureConfig,
    neural: npt.NDArray[np.float64],
    temperatures: npt.NDArray[np.float64],
    tuned: Tuned,
    job: Evaluation,
    command: str,
) -> None:
    first = members[0]
    folders = tuned.members[: len(members)]
    facts: dict[str, Any] = {
        **provenance("mixture", command),
        "seed": 0,
        "device": "cpu",
        "precision": "float32",
        "parameters": sum(int(run.facts.get("parameters", 0)) for run in members),
        "members": [
            {"name": name, "model": run.config.model, "from": str(run.path), "temperature": degree, "hashes": files}
            for name, run, degree, files in zip(folders, members, temperatures.tolist(), digests, strict=True)
        ],
        "tuned": {
            "on": job.source,
            "nats": tuned.nats,
            "tokens": tuned.tokens,
            "weights": dict(zip(tuned.members, tuned.shares, strict=True)),
        },
        "corpus": {"key": "members", **asdict(Facts())},
        "valid": None,
        "overlap": 0,
        "vocab_size": len(first.codec.vocab),
        "habits": next((run.facts["habits"] for run in members if "habits" in run.facts), {}),
        "ended": "it was mixed",
    }
    made = RunConfig((), (), "mixture", first.config.text, config, first.config.training)
    with storage.whole_folder(output) as folder:
        first.codec.save(folder)
        jsonfiles.write(folder / CONFIG_FILE, made.to_json())
        jsonfiles.write(folder / RUN_FILE, facts)
        for name, run in zip(folders, members, strict=True):
            copy_run(run.path, folder / MEMBERS_FOLDER / name)
        numbers = {"weights": tuned.weights, "neural": neural, "temperatures": temperatures}
        tensors = {name: torch.from_numpy(array) for name, array in numbers.items()}
        about = asdict(Measured.of_one_pass())
        tensorfiles.write(folder / WEIGHTS_FILE, tensors, {**about, "codec": first.codec.fingerprint()})
