"""Text files to a trained run: the whole path, for the command line and for Python alike."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from charlm import config as configs
from charlm import runs, storage, tallying
from charlm.codec import Codec
from charlm.config import PRESETS, Precision, TextConfig, TrainingConfig
from charlm.decoding import Note
from charlm.errors import ConfigError, RunError, TrainingError
from charlm.families import CONFIG_FILE, FAMILIES, WEIGHTS_FILE, Job
from charlm.journaling import RunJournal, name_taken
from charlm.models.recurrent import Recurrent
from charlm.preparing import Prepared, prepare
from charlm.runs import Run, RunConfig
from charlm.training.devices import choose_device, choose_precision
from charlm.training.gradient import Outcome
from charlm.training.journal import Journal, Report


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


UNWATCHED = Watcher()


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
    from_file = configs.read_file(file) if file is not None else {}
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
    if any(budget in knobs for budget in configs.BUDGETS):
        from_file = {name: value for name, value in from_file.items() if name not in configs.BUDGETS}
    name = model or from_file.get("model", "ngram" if folders else "recurrent")
    family = FAMILIES[name]
    if folders and name != "ngram":
        raise ConfigError(f"--model {name} cannot learn from counts", hint="only --model ngram can; give it the text")
    layers = [PRESETS[preset] if preset else {}, from_file, knobs]
    if folders:
        layers.append(tallying.settle_text(folders))
    return RunConfig(
        texts=tuple(map(_absolute, files)),
        valid=tuple(map(_absolute, held_out)),
        model=name,
        text=configs.build(TextConfig, *layers),
        family=configs.build(family.config, *layers),
        training=configs.build(TrainingConfig, *layers),
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
    family = FAMILIES[config.model]
    model = family.fresh(config.family, prepared.codec.vocab, config.training.seed)
    if init_from is not None:
        start_from(model, prepared.codec, init_from, watcher.note)
    device, precision = machine(config.training)
    if not parameters(model):  # counts are neither moved nor rounded
        device, precision = torch.device("cpu"), "float32"
    facts = {
        **runs.provenance(config.model, command),
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
    facts = runs.read_facts(path)
    config = runs.read_config(path)
    try:
        text_key, precision = facts["corpus"]["key"], cast(Precision, facts["precision"])
    except (KeyError, TypeError) as error:
        raise runs.problem(path)(f"{path / runs.RUN_FILE} does not say what was trained on: {error}") from error
    if facts.get("model") != config.model:
        raise runs.problem(path)(f"{path / CONFIG_FILE} is for another kind of model than {runs.RUN_FILE}")
    if texts:
        config = replace(config, texts=tuple(str(Path(name).resolve()) for name in texts))
    if changes:
        others: dict[str, Any] = {} if changes.keys() == {"device"} else dict.fromkeys(configs.BUDGETS)
        config = replace(config, training=replace(config.training, **(others | changes)))
    if not (path / runs.CHECKPOINT_FILE).is_file():
        raise RunError(
            f"{path} has no {runs.CHECKPOINT_FILE}, so it cannot go on",
            hint=f"begin anew from its weights: charlm train TEXT --init-from {path} --run ANOTHER",
        )
    if (path / WEIGHTS_FILE).is_file():
        runs.check_vocab(path, Codec.load(path))
    prepared = prepare(config, path, watcher.note)
    if prepared.facts["corpus"]["key"] != text_key:
        raise TrainingError(
            f"the text has changed since {path} was begun; going on would not be the same training",
            hint=f"restore the text, or begin anew: charlm train TEXT --init-from {path} --run ANOTHER",
        )
    model = FAMILIES[config.model].fresh(config.family, prepared.codec.vocab, config.training.seed)
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
    outcome = FAMILIES[config.model].fit(model, job)
    ended = "its budget was used up" if outcome.signal is None else f"signal {outcome.signal}"
    journal.finish({"ended": ended, "step": outcome.place.step, "seconds": round(outcome.place.seconds, 1)})
    return outcome


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


def parameters(model: Any) -> int:
    """Numbers that a model learns; 0 for count-based ones."""
    return sum(p.numel() for p in model.parameters()) if isinstance(model, nn.Module) else 0


def _option(name: str, value: Any) -> str:
    switches = {"tied": ("--untied", "--tied"), "learned_start": ("--zero-start", "--learned-start")}
    return switches[name][value] if name in switches else f"--{name} {value}"


def start_from(model: Any, codec: Codec, path: Path, note: Note) -> None:
    """Take over the weights of another run, the rows of the vocabulary token by token.

    Tokens that the other run did not know keep their fresh start. Raises RunError where the networks differ.
    """
    other = runs.load(path)
    if not isinstance(model, Recurrent) or not isinstance(other.model, Recurrent):
        raise RunError(f"--init-from {path}: only recurrent models have weights to begin from", hint="leave it out")
    shape = ("cell", "layers", "hidden", "embedding", "tied", "learned_start")
    mine, theirs = asdict(model.config), asdict(other.model.config)
    differing = [_option(name, theirs[name]) for name in shape if mine[name] != theirs[name]]
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


def describe(run: Run) -> dict[str, Any]:
    """What a run is, how it was made, and how good it is: `charlm run info`."""
    best = {key: value for key, value in run.best.items() if key not in ("codec", "is_best")}
    return {"path": str(run.path), **run.facts, "context": "carried" if run.carried else "line", "best": best,
            "reading": run.codec.reading, "level": run.codec.level, "knobs": run.config.to_json()}  # fmt: skip
