"""`charlm train`: from raw text to a trained run."""

import shlex
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charlm.cli.console import Talk, clock, emit_json, figure, table
from charlm.cli.options import AsJson, Quiet, given, knob
from charlm.config.models import NgramConfig, RecurrentConfig
from charlm.config.text import TextConfig
from charlm.config.training import BUDGETS, PRESETS, TrainingConfig
from charlm.errors import ConfigError, Interrupted

if TYPE_CHECKING:
    from charlm.runs.run import Run


class Signals:
    """Notes the first Ctrl-C or SIGTERM, so that the step can be finished; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.received: int | None = None

    def __call__(self) -> int | None:
        return self.received

    def __enter__(self) -> "Signals":
        self.before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number


def train(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT...", help="Text files or folders.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run directory to make. [default: checkpoints/NAME-OF-TEXT]")] = None,
    valid: Annotated[
        list[str] | None,
        typer.Option(help="Validation text, repeatable. [default: 5 % of the documents, or the stream's last tenth]"),
    ] = None,
    counts: Annotated[
        list[str] | None, typer.Option(help="Learn from counts of `charlm ngram count` instead of TEXT; repeatable.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="Take these counts away again; repeatable.")] = None,
    vocab: Annotated[Path | None, typer.Option(help="Vocabulary made by `charlm vocab`, used as it is.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run, if wanted with a new budget.")] = None,
    init_from: Annotated[Path | None, typer.Option(help="Begin with another run's weights, matched by token.")] = None,
    preset: Annotated[str | None, typer.Option(help=f"A set of knobs: {', '.join(PRESETS)}.")] = None,
    config: Annotated[Path | None, typer.Option(help="Knobs from a TOML file, or from a run's config.json.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and stop.")] = False,
    model: Annotated[str | None, typer.Option(help="recurrent, ngram or unigram. [default: recurrent]")] = None,
    cell: Annotated[str | None, knob(RecurrentConfig, "cell")] = None,
    layers: Annotated[int | None, knob(RecurrentConfig, "layers")] = None,
    hidden: Annotated[int | None, knob(RecurrentConfig, "hidden")] = None,
    embedding: Annotated[int | None, knob(RecurrentConfig, "embedding")] = None,
    tied: Annotated[bool | None, knob(RecurrentConfig, "tied", "--tied/--untied")] = None,
    dropout: Annotated[float | None, knob(RecurrentConfig, "dropout")] = None,
    learned_start: Annotated[
        bool | None, knob(RecurrentConfig, "learned_start", "--learned-start/--zero-start")
    ] = None,
    order: Annotated[int | None, knob(NgramConfig, "order")] = None,
    smoothing: Annotated[str | None, knob(NgramConfig, "smoothing")] = None,
    add_k: Annotated[float | None, knob(NgramConfig, "add_k")] = None,
    cutoffs: Annotated[str | None, knob(NgramConfig, "cutoffs")] = None,
    prune: Annotated[float | None, knob(NgramConfig, "prune")] = None,
    quantize: Annotated[int | None, knob(NgramConfig, "quantize")] = None,
    memory: Annotated[str | None, knob(NgramConfig, "memory")] = None,
    epochs: Annotated[float | None, knob(TrainingConfig, "epochs")] = None,
    steps: Annotated[int | None, knob(TrainingConfig, "steps")] = None,
    minutes: Annotated[float | None, knob(TrainingConfig, "minutes")] = None,
    batch_size: Annotated[int | None, knob(TrainingConfig, "batch_size")] = None,
    window: Annotated[int | None, knob(TrainingConfig, "window")] = None,
    learning_rate: Annotated[float | None, knob(TrainingConfig, "learning_rate")] = None,
    warmup: Annotated[float | None, knob(TrainingConfig, "warmup")] = None,
    final_rate: Annotated[float | None, knob(TrainingConfig, "final_rate")] = None,
    weight_decay: Annotated[float | None, knob(TrainingConfig, "weight_decay")] = None,
    beta2: Annotated[float | None, knob(TrainingConfig, "beta2")] = None,
    clip: Annotated[float | None, knob(TrainingConfig, "clip")] = None,
    validations: Annotated[int | None, knob(TrainingConfig, "validations")] = None,
    patience: Annotated[int | None, knob(TrainingConfig, "patience")] = None,
    save_minutes: Annotated[float | None, knob(TrainingConfig, "save_minutes")] = None,
    seed: Annotated[int | None, knob(TrainingConfig, "seed")] = None,
    precision: Annotated[str | None, knob(TrainingConfig, "precision")] = None,
    device: Annotated[str | None, knob(TrainingConfig, "device")] = None,
    reading: Annotated[str | None, knob(TextConfig, "reading")] = None,
    context: Annotated[str | None, knob(TextConfig, "context")] = None,
    level: Annotated[str | None, knob(TextConfig, "level")] = None,
    encoding: Annotated[str | None, knob(TextConfig, "encoding")] = None,
    field: Annotated[str | None, knob(TextConfig, "field")] = None,
    simplify: Annotated[bool | None, knob(TextConfig, "simplify", "--simplify")] = None,
    blank_lines: Annotated[bool | None, knob(TextConfig, "blank_lines", "--blank-lines")] = None,
    user_dict: Annotated[str | None, knob(TextConfig, "user_dict")] = None,
    min_count: Annotated[int | None, knob(TextConfig, "min_count")] = None,
    max_size: Annotated[int | None, knob(TextConfig, "max_size")] = None,
    coverage: Annotated[float | None, knob(TextConfig, "coverage")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a model on TEXT and keep it in a run directory.

    Ctrl-C finishes the step, saves everything and prints the command that goes on.

    charlm train poems.txt --preset base --minutes 20 --run checkpoints/tang
    """
    asked = given(**{name: value for name, value in locals().items() if name not in _NOT_KNOBS})
    from charlm.jobs import trial as estimating
    from charlm.jobs.train import resume as resume_run
    from charlm.jobs.train import settle
    from charlm.jobs.train import train as train_run
    from charlm.jobs.watching import Watcher
    from charlm.runs.run import load as load_run

    talk = Talk(quiet)
    with Signals() as signals, talk:
        watcher = Watcher(report=talk.training, note=talk.note, signal=signals)
        if resume is not None:
            path = resume
            elsewhere = given(
                run=run,
                valid=valid,
                counts=counts,
                without=without,
                vocab=vocab,
                init_from=init_from,
                preset=preset,
                config=config,
                model=model,
                dry_run=dry_run or None,
            )
            if others := sorted((asked | elsewhere).keys() - {*BUDGETS, "device"}):
                options = ", ".join("--" + name.replace("_", "-") for name in others)
                raise ConfigError(
                    f"--resume goes on with a run as it was; it cannot change {options}",
                    hint=f"begin a new run from its weights: --init-from {resume}",
                )
            outcome = resume_run(resume, asked, tuple(texts or ()), watcher)
        else:
            settled = settle(
                texts or (),
                valid or (),
                counts=counts or (),
                without=without or (),
                model=model,
                preset=preset,
                file=config,
                knobs=asked,
            )
            if dry_run:
                _show_estimate(estimating.estimate(settled, vocab_folder=vocab, watcher=watcher), as_json)
                return
            path = run or _free_name((settled.texts or settled.counts)[0])
            outcome = train_run(
                settled,
                path,
                vocab_folder=vocab,
                init_from=init_from,
                command=shlex.join(["charlm", *sys.argv[1:]]),
                watcher=watcher,
            )
    if outcome.signal is not None:
        raise Interrupted(outcome.signal, outcome.place.step, f"charlm train --resume {shlex.quote(str(path))}")
    _show_outcome(load_run(path), as_json)


_NOT_KNOBS = frozenset(
    {
        "texts",
        "run",
        "valid",
        "counts",
        "without",
        "vocab",
        "resume",
        "init_from",
        "preset",
        "config",
        "dry_run",
        "model",
        "as_json",
        "quiet",
    }
)


def _free_name(text: str) -> Path:
    """checkpoints/NAME, or the first of NAME-2, NAME-3, … that is free."""
    name = Path(text).name.split(".")[0] or "run"
    path, number = Path("checkpoints") / name, 2
    while path.exists():
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


def _show_outcome(run: "Run", as_json: bool) -> None:
    from charlm.scoring import perplexity_of

    best, seconds = run.best, run.facts.get("seconds")
    nats = best.get("valid_nats")
    perplexity = perplexity_of(nats) if nats is not None else None
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
    rows.append(("time", clock(seconds)))
    table(rows)
