"""Text files to a trained run: the whole path, for the command line and for Python alike."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from charlm import storage
from charlm.config.knobs import build
from charlm.config.models import MODELS
from charlm.config.settings import read_file
from charlm.config.text import TextConfig
from charlm.config.training import BUDGETS, PRESETS, Precision, TrainingConfig
from charlm.errors import ConfigError, RunError, TrainingError
from charlm.families import CONFIG_FILE, FAMILIES, WEIGHTS_FILE, Job
from charlm.jobs import count as tallying
from charlm.jobs.prepare import Prepared, prepare
from charlm.jobs.watching import UNWATCHED, Watcher
from charlm.runs.journal import RunJournal
from charlm.runs.layout import CHECKPOINT_FILE, RUN_FILE, RunConfig, check_vocab, problem, read_config, read_facts
from charlm.runs.run import load as load_run
from charlm.runs.writing import name_taken, provenance, refuse_name
from charlm.text.codec import Codec
from charlm.text.decoding import Note
from charlm.training.devices import choose_device, choose_precision
from charlm.training.gradient import Outcome
from charlm.training.journal import Journal, Report

NOT_TRAINED = "charlm run mix RUN RUN --tune TEXT --run DIR"


def settle(
    texts: Iterable[str],
    valid: Iterable[str] = (),
    *,
    counts: Iterable[str] = (),
    without: Iterable[str] = (),
    model: str | None = None,
    preset: str | None = None,
    file: Path | None = None,
    knobs: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Every knob of a run: preset < file < knobs; a budget given later replaces an earlier one of any kind.

    counts   folders of n-gram counts to learn from instead of texts
    without  folders of counts that are among those, and shall not be learned from
    Raises ConfigError for unknown names and impossible values.
    """
    knobs = knobs or {}
    from_file = read_file(file) if file is not None else {}
    texts, counts = tuple(texts), tuple(counts)
    files = texts or (() if counts else tuple(from_file.get("texts", ())))
    held_out = tuple(valid) or tuple(from_file.get("valid", ()))
    folders = counts or (() if texts else tuple(from_file.get("counts", ())))
    taken = tuple(without) or tuple(from_file.get("without", ()))
    if not files and not folders:
        raise ConfigError("no text was given", hint="charlm train poems.txt, or --resume RUN")
    if files and folders:
        raise ConfigError("both a text and --counts were given", hint="count the text too: charlm ngram count TEXT")
    if taken and not folders:
        raise ConfigError("--without takes counts away from --counts, which were not given", hint="give both")
    if any(budget in knobs for budget in BUDGETS):
        from_file = {name: value for name, value in from_file.items() if name not in BUDGETS}
    name = model or from_file.get("model", "ngram" if folders else "recurrent")
    page = MODELS[name].page
    if FAMILIES[name].fit is None:
        raise ConfigError(f"a {name} is not trained but mixed", hint=NOT_TRAINED)
    if folders and not FAMILIES[name].takes_counts:
        able = ", ".join(other for other in FAMILIES if FAMILIES[other].takes_counts)
        raise ConfigError(f"--model {name} cannot learn from counts", hint=f"only --model {able} can; give it the text")
    layers = [PRESETS[preset] if preset else {}, from_file, knobs]
    if folders:
        layers.append(tallying.settle_text(folders))
    return RunConfig(
        texts=tuple(map(_absolute, files)),
        valid=tuple(map(_absolute, held_out)),
        model=name,
        text=build(TextConfig, *layers),
        family=build(page, *layers),
        training=build(TrainingConfig, *layers),
        counts=tuple(map(_absolute, folders)),
        without=tuple(map(_absolute, taken)),
    )


def _absolute(name: str) -> str:
    """The run may be resumed from another folder."""
    return name if name == "-" else str(Path(name).resolve())


def train(
    config: RunConfig,
    path: Path,
    *,
    vocab_folder: Path | None = None,
    init_from: Path | None = None,
    command: str = "",
    watcher: Watcher = UNWATCHED,
) -> Outcome:
    """Train a model on text files and keep it in the run directory `path`.

    Raises RunError where `path` exists; nothing is ever overwritten.
    """
    refuse_name(path)
    if path.exists():
        raise name_taken(path)
    with ExitStack() as stack:
        if config.counts and vocab_folder is not None:
            raise ConfigError("--counts bring their own vocabulary", hint="leave --vocab out, or count again with it")
        if config.counts:
            prepared = tallying.prepare_counts(config, watcher.note, stack)
        else:
            prepared = prepare(config, vocab_folder, watcher.note)
        return _train(config, prepared, path, init_from, command, watcher)


def _train(
    config: RunConfig, prepared: Prepared, path: Path, init_from: Path | None, command: str, watcher: Watcher
) -> Outcome:
    model = fresh(config, prepared.codec)
    if init_from is not None:
        start_from(model, config.model, prepared.codec, init_from, watcher.note)
    device, precision = machine(config.training)
    if not parameters(model):  # counts are neither moved nor rounded
        device, precision = torch.device("cpu"), "float32"
    facts = {
        **provenance(config.model, command),
        "seed": config.training.seed,
        "device": str(device),
        "precision": precision,
        "parameters": parameters(model),
        **prepared.facts,
        "ended": None,
    }
    journal = RunJournal(path, config, prepared.codec, facts, watcher.signal)
    return _fit(model, config, prepared, journal, device, precision, watcher)


def resume(path: Path, changes: dict[str, Any], texts: tuple[str, ...] = (), watcher: Watcher = UNWATCHED) -> Outcome:
    """Go on with a run where it stopped.

    changes  {"epochs" | "steps" | "minutes": amount} to give it more, {"device": name} to go on elsewhere
    texts    where the text is now, if it was moved; it must be the same text
    Raises RunError where the run cannot go on, TrainingError where the text has changed.
    """
    facts = read_facts(path)
    config = read_config(path)
    try:
        text_key, precision = facts["corpus"]["key"], cast(Precision, facts["precision"])
    except (KeyError, TypeError) as error:
        raise problem(path)(f"{path / RUN_FILE} does not say what was trained on: {error}") from error
    if facts.get("model") != config.model:
        raise problem(path)(f"{path / CONFIG_FILE} is for another kind of model than {RUN_FILE}")
    if texts:
        config = replace(config, texts=tuple(str(Path(name).resolve()) for name in texts))
    if changes:
        others: dict[str, Any] = {} if changes.keys() == {"device"} else dict.fromkeys(BUDGETS)
        config = replace(config, training=replace(config.training, **(others | changes)))
    if not (path / CHECKPOINT_FILE).is_file():
        raise RunError(
            f"{path} has no {CHECKPOINT_FILE}, so it cannot go on",
            hint=f"begin anew from its weights: charlm train TEXT --init-from {path} --run ANOTHER",
        )
    if (path / WEIGHTS_FILE).is_file():
        check_vocab(path, Codec.load(path))
    prepared = prepare(config, path, watcher.note)
    if prepared.facts["corpus"]["key"] != text_key:
        raise TrainingError(
            f"the text has changed since {path} was begun; going on would not be the same training",
            hint=f"restore the text, or begin anew: charlm train TEXT --init-from {path} --run ANOTHER",
        )
    model = fresh(config, prepared.codec)
    device = choose_device(config.training.device)
    journal = RunJournal(path, config, prepared.codec, facts, watcher.signal)
    if changes:
        storage.write_json(path / CONFIG_FILE, config.to_json())
    return _fit(model, config, prepared, journal, device, precision, watcher)


def _fit(
    model: Any,
    config: RunConfig,
    prepared: Prepared,
    journal: RunJournal,
    device: torch.device,
    precision: Precision,
    watcher: Watcher,
) -> Outcome:
    job = job_of(config, prepared, journal, device, precision, watcher.report)
    fit = FAMILIES[config.model].fit
    assert fit is not None  # `fresh` has refused a family that is made otherwise
    outcome = fit(model, job)
    ended = "its budget was used up" if outcome.signal is None else f"signal {outcome.signal}"
    journal.finish({"ended": ended, "step": outcome.place.step, "seconds": round(outcome.place.seconds, 1)})
    return outcome


def fresh(config: RunConfig, codec: Codec) -> Any:
    """A model that has learned nothing yet; raises ConfigError for a family that is not trained."""
    make = FAMILIES[config.model].fresh
    if make is None:
        raise ConfigError(f"a {config.model} is not trained but mixed", hint=NOT_TRAINED)
    return make(config.family, codec.vocab, config.training.seed)


def start_from(model: Any, name: str, codec: Codec, path: Path, note: Note) -> None:
    """Take over the weights of another run; raises RunError where a family has none, or the networks differ."""
    init_from = FAMILIES[name].init_from
    if init_from is None:
        raise RunError(
            f"--init-from {path}: a model that learns by {MODELS[name].learns} has no weights to begin from",
            hint="leave it out",
        )
    other = load_run(path)
    init_from(model, codec.vocab, other.model, other.codec.vocab, path, note)


def parameters(model: Any) -> int:
    """Numbers that a model learns; 0 for count-based ones."""
    return sum(p.numel() for p in model.parameters()) if isinstance(model, nn.Module) else 0


def job_of(
    config: RunConfig, prepared: Prepared, journal: Journal, device: torch.device, precision: Precision, report: Report
) -> Job:
    """What a family is asked to do."""
    return Job(
        prepared.texts,
        prepared.codec.vocab,
        config.family,
        config.training,
        precision,
        device,
        journal,
        report,
        prepared.counts,
    )


def machine(config: TrainingConfig) -> tuple[torch.device, Precision]:
    """The device and the precision that a config comes to on this machine."""
    device = choose_device(config.device)
    return device, choose_precision(config.precision, device)
