"""Text files to a trained run: the whole path, for the command line and for Python alike."""

from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from charlm import jsonfiles, tensorfiles
from charlm.composing.novelty import NOVELTY_FILE, said_in
from charlm.config.training import BUDGETS, Precision, TrainingConfig
from charlm.embedding.vectors import WordVectors
from charlm.errors import ConfigError, RunError, TrainingError
from charlm.families import CONFIG_FILE, FAMILIES, WEIGHTS_FILE, Job
from charlm.jobs.annotate import told_nats
from charlm.jobs.beginning import begins_with_counts, fresh, read_by, read_by_counts, start_from, vectors_for
from charlm.jobs.count import prepare_counts
from charlm.jobs.prepare import Prepared, prepare
from charlm.jobs.record import Usage
from charlm.jobs.settle import NOT_TRAINED, absolute
from charlm.jobs.watching import UNWATCHED, Watcher
from charlm.models.base import Product
from charlm.runs.journal import RunJournal
from charlm.runs.layout import CHECKPOINT_FILE, RUN_FILE, RunConfig, check_vocab, problem, read_config, read_facts
from charlm.runs.run import load as load_run
from charlm.runs.writing import begun, owned, provenance, refuse_name
from charlm.text.codec import Codec
from charlm.text.decoding import Note, nobody
from charlm.training.devices import Machine, bf16_fault, choose_device, choose_precision, choose_workers
from charlm.training.gradient import Outcome
from charlm.training.journal import Journal, Listening, OnEvent
from charlm.training.ranks import ALONE, Ranks, joined
from charlm.training.schedules import Budget
from charlm.training.standing import FACTS, Standing

# What run.json says of a training that no signal has stopped.
ENDED = "its budget was used up"
IMPATIENT = "its patience ran out"
LARGE = 10**9  # multiplications of a step's way forward, from which both ways to take it are tried: `pacing.py`


def train(
    config: RunConfig,
    path: Path,
    *,
    vocab_folder: Path | None = None,
    init_from: Path | None = None,
    embeddings: Path | None = None,
    command: str = "",
    watcher: Watcher = UNWATCHED,
) -> Outcome:
    """Train a model on text files and keep it in the run directory `path`.

    Raises RunError where `path` exists; nothing is ever overwritten.
    """
    refuse_name(path)
    vectors = vectors_for(config, embeddings, init_from)
    with ExitStack() as stack:
        ranks = stack.enter_context(joined(config.training.device))
        choose_device(config.training.device)  # one that is not there is told before the text is read
        if ranks.is_first:
            stack.enter_context(begun(path))
        if config.counts and vocab_folder is not None:
            raise ConfigError("--counts bring their own vocabulary", hint="leave --vocab out, or count again with it")
        if config.counts:
            prepared = prepare_counts(config, watcher.note, stack)
        else:
            prepared = prepare(config, vocab_folder, watcher.note)
        return _train(config, prepared, path, init_from, vectors, command, watcher, ranks)


def _train(
    config: RunConfig,
    prepared: Prepared,
    path: Path,
    init_from: Path | None,
    vectors: tuple[WordVectors, Path] | None,
    command: str,
    watcher: Watcher,
    ranks: Ranks,
) -> Outcome:
    model = fresh(config, prepared.codec)
    if init_from is not None:
        start_from(model, config.model, prepared.codec, init_from, watcher.note)
    taken = None
    if vectors is not None:
        taken = read_by(model, config, prepared.codec, *vectors, watcher.note)
    elif init_from is None and begins_with_counts(config):
        counted = [(prepared.texts.train, 1.0), *prepared.texts.more]
        taken = read_by_counts(model, config, prepared.codec, counted)
    machine = machine_for(config.training, model, ranks, watcher.note)
    facts = {
        **provenance(config.model, command),
        "seed": config.training.seed,
        "device": str(machine.device),
        "precision": machine.precision,
        "workers": machine.workers,
        "paced": machine.paced,
        "ranks": ranks.ranks,
        "parameters": parameters(model),
        **prepared.facts,
        **({} if taken is None else {"embeddings": taken}),
        "ended": None,
    }
    journal = RunJournal(path, config, prepared.codec, facts, watcher.signal)
    return _fit(model, config, prepared, journal, machine, watcher)


def resume(path: Path, changes: dict[str, Any], texts: tuple[str, ...] = (), watcher: Watcher = UNWATCHED) -> Outcome:
    """Go on with a run where it stopped.

    changes  {"epochs" | "steps" | "minutes": amount} to give it more, {"device": name} to go on elsewhere
    texts    where the text is now, if it was moved; it must be the same text
    Raises RunError where the run cannot go on, TrainingError where the text has changed.
    """
    hint = how_to_begin_anew(path)  # that it is a run is seen before anything is written into it
    if not (path / CHECKPOINT_FILE).is_file():
        raise RunError(f"{path} has no {CHECKPOINT_FILE}, so it cannot go on", hint=hint)
    with ExitStack() as stack:
        ranks = stack.enter_context(joined(changes.get("device") or read_config(path).training.device))
        if ranks.is_first:
            stack.enter_context(owned(path))
        return _resume(path, changes, texts, watcher, ranks)


def how_to_begin_anew(path: Path) -> str:
    """What to do where a run cannot go on: only some kinds have weights to begin from. Raises RunError for no run."""
    name = read_facts(path)["model"]
    if name in FAMILIES and FAMILIES[name].init_from is not None:
        return f"begin anew from its weights: charlm train TEXT --init-from {path} --run ANOTHER"
    if name in FAMILIES and FAMILIES[name].fit is None:
        return f"mix its members anew: {NOT_TRAINED}"
    return f"train another: charlm train TEXT --model {name} --run ANOTHER"


def _resume(path: Path, changes: dict[str, Any], texts: tuple[str, ...], watcher: Watcher, ranks: Ranks) -> Outcome:
    facts = read_facts(path)
    config = read_config(path)
    try:
        text_key, precision = facts["corpus"]["key"], cast(Precision, facts["precision"])
    except (KeyError, TypeError) as error:
        raise problem(path)(f"{path / RUN_FILE} does not say what was trained on: {error}") from error
    if facts.get("model") != config.model:
        raise problem(path)(f"{path / CONFIG_FILE} is for another kind of model than {RUN_FILE}")
    if texts:
        config = replace(config, texts=tuple(map(absolute, texts)))
    if changes:
        others: dict[str, Any] = {} if changes.keys() == {"device"} else dict.fromkeys(BUDGETS)
        config = replace(config, training=replace(config.training, **(others | changes)))
    if (path / WEIGHTS_FILE).is_file():
        check_vocab(path, Codec.load(path))
    device = choose_device(config.training.device)
    prepared = prepare(config, path, watcher.note)
    if prepared.facts["corpus"]["key"] != text_key:
        raise TrainingError(
            f"the text has changed since {path} was begun; going on would not be the same training",
            hint=f"restore the text, or {how_to_begin_anew(path)}",
        )
    if [other["key"] for other in prepared.facts.get("more", [])] != [other["key"] for other in facts.get("more", [])]:
        raise TrainingError(f"what --more names has changed since {path} was begun", hint="restore it")
    if prepared.facts.get("control", {}).get("key") != facts.get("control", {}).get("key"):
        raise TrainingError(
            f"what is told of the poems has changed since {path} was begun; another charlm may tell forms otherwise",
            hint=f"go on with the charlm that began it, or {how_to_begin_anew(path)}",
        )
    if (standing := _where_it_ended(path, facts)) is not None:
        budget, place, patience = Budget.of(config.training), standing.place, config.training.patience
        if patience is not None and standing.stale >= patience:
            watcher.note(
                f"nothing was left to do: --patience {patience} ended it at step {place.step:,}, whatever the budget; "
                + how_to_begin_anew(path)
            )
            return Outcome(place, standing.best, None)
        if budget.share(place, standing.reserve) >= 1:
            watcher.note(f"nothing was left to do: the budget is used up at step {place.step:,}; give a larger one")
            return Outcome(place, standing.best, None)
    model = fresh(config, prepared.codec)
    if precision == "bf16" and (fault := bf16_fault(device, small(model))) is not None:
        raise ConfigError(
            f"{path} was begun in bf16, which cannot be used on this {device.type}: {fault}",
            hint=f"go on where it was begun, or anew from it: charlm train TEXT --init-from {path} --run ANOTHER",
        )
    journal = RunJournal(path, config, prepared.codec, facts, watcher.signal)
    if changes and ranks.is_first:
        jsonfiles.write(path / CONFIG_FILE, config.to_json())
    machine = Machine(device, precision, facts.get("workers", 1), ranks, facts.get("paced", False))
    return _fit(model, config, prepared, journal, machine, watcher)


def _where_it_ended(path: Path, facts: dict[str, Any]) -> Standing | None:
    """Where a run stands that has ended by itself and lacks nothing; None for one that has something left to do."""
    if facts.get("ended") not in (ENDED, IMPATIENT) or not (path / WEIGHTS_FILE).is_file():
        return None
    kept = tensorfiles.read_facts(path / CHECKPOINT_FILE)
    if jsonfiles.misfit(FACTS, kept):  # which is refused where the checkpoint is taken up
        return None
    standing = Standing()
    standing.take_up(kept)
    return standing


def _fit(
    model: Any,
    config: RunConfig,
    prepared: Prepared,
    journal: RunJournal,
    machine: Machine,
    watcher: Watcher,
) -> Outcome:
    heard: Journal = journal if machine.ranks.is_first else Listening(watcher.signal)
    usage = Usage(watcher.report)
    job = job_of(config, prepared, heard, machine, usage)
    fit = FAMILIES[config.model].fit
    assert fit is not None  # `fresh` has refused a family that is made otherwise
    with closing(journal):
        outcome = fit(model, job)
        ended = IMPATIENT if outcome.impatient else ENDED if outcome.signal is None else f"signal {outcome.signal}"
        if machine.ranks.is_first:
            keep_lines(prepared, journal.path / NOVELTY_FILE)
            journal.finish({"ended": ended, "step": outcome.place.step, "seconds": round(outcome.place.seconds, 1)})
            journal.finish({"usage": usage.record(model, config.training, machine, outcome.tokens_per_second)})
            valid = prepared.texts.valid
            if outcome.signal is None and valid is not None and valid.prefixes is not None:
                best = load_run(journal.path, str(machine.device)).model
                journal.finish({"told": told_nats(best, valid)})
    return outcome


def keep_lines(prepared: Prepared, path: Path) -> None:
    """Where the text is verse, keep what its lines are, so that what is written later can be new."""
    if prepared.codec.closing and not prepared.codec.reverse and prepared.counts is None and not path.exists():
        corpora = [prepared.texts.train, *(corpus for corpus, _ in prepared.texts.more)]
        if (novelty := said_in(corpora, prepared.codec.vocab.tokens)) is not None:
            novelty.save(path)


def parameters(model: Any) -> int:
    """Numbers that a model learns; 0 for count-based ones."""
    return sum(p.numel() for p in model.parameters()) if isinstance(model, nn.Module) else 0


def small(model: Any) -> nn.Module | None:
    """A small network of the same kind, on which a precision is tried; None where a model has none."""
    return model.small() if hasattr(model, "small") else None


def job_of(config: RunConfig, prepared: Prepared, journal: Journal, machine: Machine, report: OnEvent) -> Job:
    """What a family is asked to do."""
    return Job(
        prepared.texts,
        prepared.codec.vocab,
        config.family,
        config.training,
        machine,
        journal,
        report,
        prepared.counts,
    )


def machine_for(config: TrainingConfig, model: Any, ranks: Ranks = ALONE, note: Note = nobody) -> Machine:
    """What a model is trained on, by its config; `note` is told of a precision that is missing.

    Raises ConfigError where several processes would count the same.
    """
    device = choose_device(config.device)
    if not parameters(model) and ranks.ranks > 1:
        raise ConfigError(
            "a model that counts is made by one process", hint="start it without torchrun; shards: charlm ngram count"
        )
    if not parameters(model):  # counts are neither moved nor rounded
        return Machine(torch.device("cpu"), "float32")
    precision = ranks.of_first(lambda: choose_precision(config.precision, device, small(model), note))
    alone = ranks.ranks == 1 and device.type == "cpu"
    if not alone and (config.workers or 1) > 1:
        raise ConfigError(
            f"--workers {config.workers} is for one process on a processor",
            hint="leave it out: a GPU takes all rows at once, and processes share them already",
        )
    workers = (config.workers or choose_workers(config.batch_size, device)) if alone else 1
    paced = config.workers is None and workers > 1 and _is_large(model, config)
    return Machine(device, precision, workers, ranks, paced)


def _is_large(model: Any, config: TrainingConfig) -> bool:
    """Whether a step lasts so long that it pays to find out how it is best taken."""
    products: list[Product] = model.products(config.batch_size, config.window) if hasattr(model, "products") else []
    return sum(each.rows * each.inner * each.columns * each.times for each in products) >= LARGE
