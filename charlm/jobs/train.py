"""Text files to a trained run: the whole path, for the command line and for Python alike."""

import contextlib
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from charlm import jsonfiles
from charlm.config.knobs import Mistakes, build
from charlm.config.models import MODELS
from charlm.config.settings import foreign, read_file, refuse_unknown
from charlm.config.text import TextConfig
from charlm.config.training import BUDGETS, PRESETS, Precision, TrainingConfig
from charlm.errors import ConfigError, RunError, TrainingError
from charlm.families import CONFIG_FILE, FAMILIES, WEIGHTS_FILE, Job
from charlm.jobs.count import prepare_counts, settle_text
from charlm.jobs.prepare import Prepared, prepare
from charlm.jobs.watching import UNWATCHED, Watcher
from charlm.runs.journal import RunJournal
from charlm.runs.layout import CHECKPOINT_FILE, RUN_FILE, RunConfig, check_vocab, problem, read_config, read_facts
from charlm.runs.run import load as load_run
from charlm.runs.writing import begun, owned, provenance, refuse_name
from charlm.text.codec import Codec
from charlm.text.decoding import Note
from charlm.training.devices import bf16_fault, choose_device, choose_precision
from charlm.training.gradient import Outcome
from charlm.training.journal import Journal, OnEvent

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
    Raises one ConfigError for all unknown names, impossible values, and knobs that are not for this model.
    """
    knobs = knobs or {}
    from_file = read_file(file) if file is not None else {}
    texts, counts = tuple(texts), tuple(counts)
    files = texts or (() if counts else tuple(from_file.get("texts", ())))
    held_out = tuple(valid) or tuple(from_file.get("valid", ()))
    folders = counts or (() if texts else tuple(from_file.get("counts", ())))
    taken = tuple(without) or tuple(from_file.get("without", ()))
    mistakes = Mistakes()
    if not files and not folders:
        mistakes.add("no text was given", "charlm train poems.txt, or --resume RUN")
    if files and folders:
        mistakes.add("both a text and --counts were given", "count the text too: charlm ngram count TEXT")
    if taken and not folders:
        mistakes.add("--without takes counts away from --counts, which were not given", "give both")
    if any(budget in knobs for budget in BUDGETS):
        from_file = {name: value for name, value in from_file.items() if name not in BUDGETS}
    name = model if model is not None else from_file.get("model", "ngram" if folders else "recurrent")
    with mistakes.noted():
        refuse_unknown(knobs)
    preset_knobs: Mapping[str, Any] = {}
    if preset is not None:
        with mistakes.noted():
            preset_knobs = PRESETS[preset]
    page: type | None = None
    with mistakes.noted():
        page = MODELS[name].page
        with mistakes.noted():
            _refuse_model(name, bool(folders))
        if preset_knobs and foreign(name, preset_knobs):
            owners = [other for other in MODELS if not foreign(other, preset_knobs)]
            mistakes.add(
                f"--preset {preset} is for --model {' and '.join(owners)}, not for {name}", "leave --preset out"
            )
        # The config.json of a run holds all pages, whatever its model had to do with them.
        asked = knobs if "format" in from_file else {**from_file, **knobs}
        for sentence in foreign(name, asked):
            mistakes.add(sentence, f"leave it out; `charlm train --help` says what a {name} model takes")
    layers = [preset_knobs, from_file, knobs]
    if folders and not mistakes.found:
        layers.append(settle_text(folders))
    text: Any = None
    family: Any = None
    training: Any = None
    with mistakes.noted():
        text = build(TextConfig, *layers)
    with mistakes.noted():
        family = build(page, *layers) if page is not None else None
    with mistakes.noted():
        training = build(TrainingConfig, *layers)
    mistakes.refuse()
    return RunConfig(
        texts=tuple(map(_absolute, files)),
        valid=tuple(map(_absolute, held_out)),
        model=name,
        text=text,
        family=family,
        training=training,
        counts=tuple(map(_absolute, folders)),
        without=tuple(map(_absolute, taken)),
    )


def _refuse_model(name: str, from_counts: bool) -> None:
    if FAMILIES[name].fit is None:
        raise ConfigError(f"a {name} is not trained but mixed", hint=NOT_TRAINED)
    if from_counts and not FAMILIES[name].takes_counts:
        able = ", ".join(other for other in FAMILIES if FAMILIES[other].takes_counts)
        raise ConfigError(f"--model {name} cannot learn from counts", hint=f"only --model {able} can; give it the text")


def _absolute(name: str) -> str:
    """The run may be resumed from another folder. A pipe has no other name than its own, and an empty one is none."""
    with contextlib.suppress(OSError):  # too long a name is refused where it is opened
        if name in ("", "-") or Path(name).is_fifo():
            return name
    return str(Path(name).resolve())


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
    with ExitStack() as stack:
        stack.enter_context(begun(path))
        if config.counts and vocab_folder is not None:
            raise ConfigError("--counts bring their own vocabulary", hint="leave --vocab out, or count again with it")
        if config.counts:
            prepared = prepare_counts(config, watcher.note, stack)
        else:
            prepared = prepare(config, vocab_folder, watcher.note)
        return _train(config, prepared, path, init_from, command, watcher)


def _train(
    config: RunConfig, prepared: Prepared, path: Path, init_from: Path | None, command: str, watcher: Watcher
) -> Outcome:
    model = fresh(config, prepared.codec)
    if init_from is not None:
        start_from(model, config.model, prepared.codec, init_from, watcher.note)
    device, precision = machine(config.training, model)
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
    hint = how_to_begin_anew(path)  # that it is a run is seen before anything is written into it
    if not (path / CHECKPOINT_FILE).is_file():
        raise RunError(f"{path} has no {CHECKPOINT_FILE}, so it cannot go on", hint=hint)
    with owned(path):
        return _resume(path, changes, texts, watcher)


def how_to_begin_anew(path: Path) -> str:
    """What to do where a run cannot go on: only some kinds have weights to begin from. Raises RunError for no run."""
    name = read_facts(path)["model"]
    if name in FAMILIES and FAMILIES[name].init_from is not None:
        return f"begin anew from its weights: charlm train TEXT --init-from {path} --run ANOTHER"
    if name in FAMILIES and FAMILIES[name].fit is None:
        return f"mix its members anew: {NOT_TRAINED}"
    return f"train another: charlm train TEXT --model {name} --run ANOTHER"


def _resume(path: Path, changes: dict[str, Any], texts: tuple[str, ...], watcher: Watcher) -> Outcome:
    facts = read_facts(path)
    before = facts.get("step")
    config = read_config(path)
    try:
        text_key, precision = facts["corpus"]["key"], cast(Precision, facts["precision"])
    except (KeyError, TypeError) as error:
        raise problem(path)(f"{path / RUN_FILE} does not say what was trained on: {error}") from error
    if facts.get("model") != config.model:
        raise problem(path)(f"{path / CONFIG_FILE} is for another kind of model than {RUN_FILE}")
    if texts:
        config = replace(config, texts=tuple(map(_absolute, texts)))
    if changes:
        others: dict[str, Any] = {} if changes.keys() == {"device"} else dict.fromkeys(BUDGETS)
        config = replace(config, training=replace(config.training, **(others | changes)))
    if (path / WEIGHTS_FILE).is_file():
        check_vocab(path, Codec.load(path))
    device = choose_device(config.training.device)
    if precision == "bf16" and (fault := bf16_fault(device)) is not None:
        raise ConfigError(
            f"{path} was begun in bf16, which cannot be used on this {device.type}: {fault}",
            hint=f"go on where it was begun, or anew from it: charlm train TEXT --init-from {path} --run ANOTHER",
        )
    prepared = prepare(config, path, watcher.note)
    if prepared.facts["corpus"]["key"] != text_key:
        raise TrainingError(
            f"the text has changed since {path} was begun; going on would not be the same training",
            hint=f"restore the text, or {how_to_begin_anew(path)}",
        )
    model = fresh(config, prepared.codec)
    journal = RunJournal(path, config, prepared.codec, facts, watcher.signal)
    if changes:
        jsonfiles.write(path / CONFIG_FILE, config.to_json())
    outcome = _fit(model, config, prepared, journal, device, precision, watcher)
    if outcome.signal is None and outcome.place.step == before:
        watcher.note(f"nothing was left to do: the budget is used up at step {outcome.place.step:,}; give a larger one")
    return outcome


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
    with closing(journal):
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
    config: RunConfig, prepared: Prepared, journal: Journal, device: torch.device, precision: Precision, report: OnEvent
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


def machine(config: TrainingConfig, model: Any) -> tuple[torch.device, Precision]:
    """The device and the precision that a config comes to for a model on this machine."""
    device = choose_device(config.device)
    if not parameters(model):  # counts are neither moved nor rounded
        return torch.device("cpu"), "float32"
    return device, choose_precision(config.precision, device)
