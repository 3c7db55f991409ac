"""`charlm train`: from raw text to a trained run."""

import shlex
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charlm import storage
from charlm.cli.completion import completing, runs_at
from charlm.cli.console import Talk, clock, emit_json, figure, table, told_rows
from charlm.cli.options import AsJson, Quiet, given, page, takes
from charlm.config.models import MODELS
from charlm.config.text import TextConfig
from charlm.config.training import BUDGETS, PRESETS, TrainingConfig
from charlm.errors import ConfigError, Interrupted

if TYPE_CHECKING:
    from charlm.runs.cloze import ClozeRun
    from charlm.runs.run import Run


class Signals:
    """Notes the first Ctrl-C or SIGTERM, so that the step can be finished; a second Ctrl-C stops at once.

    alone  not started by torchrun, which passes on what the terminal has sent already
    """

    def __init__(self, alone: bool = True) -> None:
        self.received: int | None = None
        self.alone = alone

    def __call__(self) -> int | None:
        return self.received

    def __enter__(self) -> "Signals":
        self.before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT and self.alone:
            raise KeyboardInterrupt
        self.received = number


_PRESETS = "; ".join(
    f"{name} ({', '.join(f'{knob} {value}' for knob, value in knobs.items())})" for name, knobs in PRESETS.items()
)
_TRAINED = {name: about for name, about in MODELS.items() if about.learns != "mixing"}
_MODELS = "; ".join(f"{name}, {about.summary}" for name, about in _TRAINED.items())


@takes(page(TextConfig), *(page(about.page) for about in _TRAINED.values()), page(TrainingConfig))
def train(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT...", help="Text files or folders.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run directory to make. [default: checkpoints/NAME-OF-TEXT]")] = None,
    valid: Annotated[
        list[str] | None,
        typer.Option(
            help="Validation text, repeatable. [default: 5 % of the documents, or half of a stream's last tenth]"
        ),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE:WEIGHT",
            help="Other text of the kind, repeatable: so many steps of it for each step of TEXT at first, later fewer,"
            " in the last fifth none. [default weight: 1]",
        ),
    ] = None,
    counts: Annotated[
        list[str] | None, typer.Option(help="Learn from counts of `charlm ngram count` instead of TEXT; repeatable.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="Take these counts away again; repeatable.")] = None,
    vocab: Annotated[Path | None, typer.Option(help="Vocabulary made by `charlm vocab`, used as it is.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this run, if wanted with a new budget.", autocompletion=runs_at)
    ] = None,
    init_from: Annotated[
        Path | None, typer.Option(help="Begin with another run's weights, matched by token.", autocompletion=runs_at)
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            metavar="VECTORS",
            help="Begin with word vectors of `charlm embed`, word2vec, gensim or another run, matched by token.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"A set of knobs for a recurrent model: {_PRESETS}.",
            autocompletion=completing(PRESETS),
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Knobs from a TOML file, or from a run's config.json.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and stop.")] = False,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"{_MODELS}. [default: recurrent]", autocompletion=completing(_TRAINED)),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **asked: Any,
) -> None:
    """Train a model on TEXT and keep it in a run directory.

    Ctrl-C finishes the step, saves everything and says how to go on.

    charlm train poems.txt --preset base --minutes 20 --run checkpoints/tang
    """
    from charlm.jobs.settle import settle
    from charlm.jobs.train import how_to_begin_anew
    from charlm.jobs.train import resume as resume_run
    from charlm.jobs.train import train as train_run
    from charlm.jobs.trial import estimate
    from charlm.jobs.watching import Watcher
    from charlm.runs.cloze import load_any
    from charlm.runs.run import is_cloze
    from charlm.training.ranks import started_by_torchrun

    rank, ranks, _ = started_by_torchrun()
    talk = Talk(quiet or rank > 0)  # the first of several processes tells for all
    with Signals(alone=ranks == 1) as signals, talk:
        watcher = Watcher(report=talk.training, note=talk.note, signal=signals)
        if resume is not None:
            path = resume
            elsewhere = given(
                run=run,
                valid=valid,
                counts=counts,
                without=without,
                more=more,
                vocab=vocab,
                init_from=init_from,
                embeddings=embeddings,
                preset=preset,
                config=config,
                model=model,
                dry_run=dry_run or None,
            )
            if others := sorted((asked | elsewhere).keys() - {*BUDGETS, "device"}):
                options = ", ".join("--" + name.replace("_", "-") for name in others)
                raise ConfigError(
                    f"--resume goes on with a run as it was; it cannot change {options}",
                    hint=how_to_begin_anew(resume),
                )
            talk.pseudo = is_cloze(resume)
            outcome = resume_run(resume, asked, tuple(texts or ()), watcher)
        else:
            settled = settle(
                texts or (),
                valid or (),
                counts=counts or (),
                without=without or (),
                more=more or (),
                model=model,
                preset=preset,
                file=config,
                knobs=asked,
            )
            talk.pseudo = MODELS[settled.model].kind == "cloze"
            if dry_run:
                _show_estimate(estimate(settled, vocab_folder=vocab, watcher=watcher), as_json)
                return
            path = run or _free_name((settled.texts or settled.counts)[0])
            outcome = train_run(
                settled,
                path,
                vocab_folder=vocab,
                init_from=init_from,
                embeddings=embeddings,
                command=shlex.join(["charlm", *sys.argv[1:]]),
                watcher=watcher,
            )
    if rank > 0:
        raise typer.Exit(128 + outcome.signal if outcome.signal else 0)
    if outcome.signal is not None:
        raise Interrupted(outcome.signal, outcome.place.step, f"charlm train --resume {shlex.quote(str(path))}")
    _show_outcome(load_any(path), as_json)


def _free_name(text: str) -> Path:
    """checkpoints/NAME, or the first of NAME-2, NAME-3, … that is free."""
    name = Path(text).name.split(".")[0] or "run"
    path, number = Path("checkpoints") / name, 2
    while storage.exists(path):
        path, number = Path("checkpoints") / f"{name}-{number}", number + 1
    return path


def _show_estimate(estimate: Any, as_json: bool) -> None:
    if as_json:
        emit_json(vars(estimate))
        return
    table(
        [
            ("parameters", f"{estimate.parameters:,}"),
            ("tokens", f"{estimate.tokens:,} in the training text"),
            ("speed", f"{estimate.tokens_per_second:,.0f} tokens/s on {estimate.device} in {estimate.precision}"),
            ("duration", f"about {clock(estimate.seconds)}"),
            ("memory", f"about {estimate.memory / 2**20:,.0f} MiB"),
        ]
    )


def _show_outcome(run: "Run | ClozeRun", as_json: bool) -> None:
    from charlm.scoring import perplexity_of

    best, seconds = run.best, run.facts.get("seconds")
    nats = best.get("valid_nats")
    perplexity = perplexity_of(nats) if nats is not None else None
    if MODELS[run.config.model].kind == "cloze":
        told = {"run": str(run.path), "step": best["step"], "pseudo_nats": nats, "pseudo_perplexity": perplexity}
        rows = [("run", str(run.path))]
        if nats is not None:
            where = f"on the validation text, each token given all others; best at step {best['step']:,}"
            rows.append(("pseudo-perplexity", f"{figure(perplexity)} {where}"))
        emit_json({**told, "seconds": seconds}) if as_json else table([*rows, ("time", clock(seconds))])
        return
    if as_json:
        emit_json(
            {
                "run": str(run.path),
                "step": best["step"],
                "nats": nats,
                "perplexity": perplexity,
                "bits_per_char": best.get("valid_bits_per_char"),
                "context": "carried" if run.carried else "line",
                "seconds": seconds,
            }
        )
        return
    rows = [("run", str(run.path))]
    if nats is not None:
        context = "carried" if run.carried else "fresh for every line"
        where = f"on the validation text, context {context}; best at step {best['step']:,}"
        rows.append(("perplexity", f"{figure(perplexity)} {where}"))
        rows.append(("bits per character", figure(best.get("valid_bits_per_char"), 3)))
    rows += told_rows(run.facts)
    rows.append(("time", clock(seconds)))
    table(rows)
