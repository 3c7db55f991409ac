"""charlm: train, measure and use recurrent language models of characters and words.

The map (STEPS: the files of a room are the data flow in order; CHOICE: any one of them will do):

    cli/         CHOICE  parse, call, show: one file a command
    jobs/        CHOICE  what a command does, from paths to a result
    runs/        STEPS   the run directory
    families/    CHOICE  kinds of models, loaded by name
    inspecting/  STEPS   how far back a model learns and looks, what gates do, what units know
    embedding/   STEPS   from a text to vectors of its words, and what can be asked of them
    training/    STEPS   how a model learns by gradient
    appraising/  STEPS   many poems to figures, a model's beside those of people
    composing/   STEPS   verse that keeps its form by construction
    reranking/   STEPS   from scores to an order, and what it brought
    filling/     STEPS   texts with blanks, and what may stand in them
    scoring/     STEPS   log-probabilities to figures
    sampling             log-probabilities to text
    models/      CHOICE  what a language model can be; models/cells/
    ngrams/      STEPS   counts, smoothing and tables; ngrams/arpa/
    poems/       STEPS   what verse must sound like, and whether it does
    text/        STEPS   bytes to mapped ids
    nbest/       CHOICE  formats of lists of candidates
    tokenizers/  CHOICE  text to tokens and back
    config/      STEPS   every knob, page by page
    tensorfiles          named tensors in a file
    jsonfiles            JSON in and out, held against its shape
    storage/     STEPS   files and folders of the disk, whole or not at all
    memory, energy, choices, shapes, errors

From Python (docs/api.md has it all):

    import charlm
    run = charlm.train("poems.txt", "checkpoints/tang", preset="small", epochs=5)
    run = charlm.load("checkpoints/tang")
    run.score(["床前明月光，疑是地上霜。"])
    run.sample("春江", count=3, temperature=0.8, seed=7)
    charlm.evaluate("checkpoints/tang", "valid.txt").perplexity
    charlm.fill("checkpoints/cloze", ["老师批评了__。"], among="我,你,他")
    charlm.mix(["checkpoints/tang", "checkpoints/counts"], "checkpoints/mixed", tune="valid.txt")
"""

from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from charlm.errors import CharlmError, ConfigError

if TYPE_CHECKING:
    from charlm.jobs.fill import Filled
    from charlm.runs.cloze import ClozeRun
    from charlm.runs.run import Run
    from charlm.scoring import Score

__version__ = "0.1.0"
__all__ = [
    "CharlmError",
    "ClozeRun",
    "Run",
    "Score",
    "__version__",
    "evaluate",
    "fill",
    "load",
    "load_cloze",
    "mix",
    "train",
]

PathOrStr: TypeAlias = str | PathLike[str]


def __getattr__(name: str) -> Any:
    """`charlm.Run`, `ClozeRun`, `Score`: torch takes seconds to load, so only who asks for them waits for it."""
    if name == "ClozeRun":
        from charlm.runs.cloze import ClozeRun

        return ClozeRun
    if name == "Run":
        from charlm.runs.run import Run

        return Run
    if name == "Score":
        from charlm.scoring import Score

        return Score
    raise AttributeError(f"module 'charlm' has no attribute {name!r}")


def _names(paths: PathOrStr | Iterable[PathOrStr]) -> list[str]:
    """One path or several, as strings."""
    return [fspath(paths)] if isinstance(paths, str | PathLike) else [fspath(path) for path in paths]


def load(path: PathOrStr, device: str = "auto", precision: str = "float32") -> "Run":
    """Load a run directory; its `.model`, `.codec`, `.score(texts)` and `.sample(prompt)` are ready to use.

    device     cpu, cuda, cuda:1, mps, or auto: the first GPU, else the CPU, as in training
    precision  of the model's products: float32, or on a processor faster and rounded: bf16 (AMX), fp16 (x86), or auto,
               the first of them that there is
    Raises CharlmError (RunError, VocabError) where it cannot be used; ConfigError for one that fills blanks.
    """
    from charlm.runs.run import load as load_run

    return load_run(Path(path), device, precision)


def load_cloze(path: PathOrStr, device: str = "auto", precision: str = "float32") -> "ClozeRun":
    """Load a run of `--model cloze` or `cloze-window`; its `.model` knows both sides of a word, and foretells none.

    device, precision  as for `load`
    Raises CharlmError (RunError, VocabError); ConfigError for a language model.
    """
    from charlm.runs.cloze import load_cloze as load_run

    return load_run(Path(path), device, precision)


def fill(run: PathOrStr, texts: Iterable[str], *, device: str = "auto", **knobs: Any) -> "list[Filled]":
    """What may stand in the blanks of some texts: _ for one token, □□ for two, __ for a word of any length.

    run    a model of missing words, which judges by both sides; or a language model, which scores whole sentences
    knobs  those of `charlm fill`: `top=5`, `among="我,你,他"`, `longest=4`, `candidates=1000`
    Each is the text and its `candidates`, likeliest first, with `fills`, `text`, `log_prob` and `probability`.
    Raises CharlmError; ConfigError where a text has no blank.
    """
    from charlm.config.filling import FillConfig
    from charlm.config.knobs import build
    from charlm.jobs.fill import Filler
    from charlm.text.reader import several

    filler = Filler.at(Path(run), build(FillConfig, knobs, closed="fill"), device)
    return [filler.fill(text) for text in several(texts)]


@overload
def train(
    texts: PathOrStr | Iterable[PathOrStr],
    run: PathOrStr,
    *,
    valid: PathOrStr | Iterable[PathOrStr] = (),
    more: PathOrStr | Iterable[PathOrStr] = (),
    model: Literal["cloze", "cloze-window"],
    preset: str | None = None,
    embeddings: PathOrStr | None = None,
    **knobs: Any,
) -> "ClozeRun": ...
@overload
def train(
    texts: PathOrStr | Iterable[PathOrStr],
    run: PathOrStr,
    *,
    valid: PathOrStr | Iterable[PathOrStr] = (),
    more: PathOrStr | Iterable[PathOrStr] = (),
    model: str | None = None,
    preset: str | None = None,
    embeddings: PathOrStr | None = None,
    **knobs: Any,
) -> "Run": ...
def train(
    texts: PathOrStr | Iterable[PathOrStr],
    run: PathOrStr,
    *,
    valid: PathOrStr | Iterable[PathOrStr] = (),
    more: PathOrStr | Iterable[PathOrStr] = (),
    model: str | None = None,
    preset: str | None = None,
    embeddings: PathOrStr | None = None,
    **knobs: Any,
) -> "Run | ClozeRun":
    """Train on text files, keep the run in the directory `run`, and load it where it was trained.

    more        other text of the kind, "FILE:WEIGHT", read besides at first
    model       cloze and cloze-window give a ClozeRun, all others a Run
    embeddings  a file of word vectors that the network begins with, or a run of a network
    knobs       as on the command line, with `_` for `-`: `epochs=5`, `min_count=2`, `level="mixed"`
    Raises CharlmError; RunError where `run` exists.
    """
    from charlm.jobs.settle import settle
    from charlm.jobs.train import train as train_run
    from charlm.runs.cloze import load_any

    settled = settle(_names(texts), _names(valid), more=_names(more), model=model, preset=preset, knobs=knobs)
    train_run(settled, Path(run), embeddings=None if embeddings is None else Path(embeddings))
    return load_any(Path(run), settled.training.device)


def mix(runs: Iterable[PathOrStr], run: PathOrStr, *, tune: PathOrStr, part: str | None = None, **knobs: Any) -> "Run":
    """Add up the probabilities of several runs, weighted as is best on the text `tune`, and load the mixture.

    part   train, valid or test of a text that was split by hash
    knobs  those of `charlm run mix`: `by_context=False`, `cache=500`, `neural_cache=500`
    Raises CharlmError; RunError where `run` exists.
    """
    from dataclasses import fields

    from charlm.choices import closest
    from charlm.config.knobs import build
    from charlm.config.models import MixtureConfig
    from charlm.config.text import TextConfig
    from charlm.jobs.evaluate import Evaluation
    from charlm.jobs.mix import mix as mix_runs
    from charlm.text.decoding import nobody

    if isinstance(runs, str | PathLike):
        raise ConfigError(f"one run, {fspath(runs)!r}, is no mixture", hint="give a list of runs")
    known = [field.name for field in fields(MixtureConfig)]
    if unknown := [f"{name!r}: {closest(name, known)}" for name in knobs if name not in known]:
        raise ConfigError(f"unknown knobs: {'; '.join(unknown)}", hint="`charlm run mix --help` lists them")
    job = Evaluation(fspath(tune), TextConfig(), part=part, context=None, note=nobody)
    mix_runs(
        [Path(path) for path in runs],
        Path(run),
        build(MixtureConfig, knobs, command="run mix"),
        job,
        command="charlm.mix",
    )
    return load(run)


def evaluate(
    run: PathOrStr,
    text: PathOrStr,
    *,
    part: str | None = None,
    context: str | None = None,
    device: str = "auto",
    dynamic: str | None = None,
    tune: PathOrStr | None = None,
    **knobs: Any,
) -> "Score":
    """How well a run predicts a text file: perplexity and bits per character, as sums that add.

    part     train, valid or test of a text that was split by hash
    context  line or carried; None: as in training
    dynamic  sgd or rms: the Score of networks that learn from the text on the way, which is another thing than the
             static one; sums of parts do not add then
    tune     for dynamic: the text on which its rate and decay are found
    knobs    for dynamic: `rate`, `decay`, `segment`, as of `charlm eval`
    Raises CharlmError.
    """
    from charlm.config.evaluation import DynamicConfig
    from charlm.config.knobs import build
    from charlm.config.text import TextConfig
    from charlm.jobs.adapt import Adaptation
    from charlm.jobs.evaluate import Evaluation
    from charlm.text.decoding import nobody

    config = build(DynamicConfig, knobs, {"dynamic": dynamic}, closed="eval")
    job = Evaluation(fspath(text), TextConfig(), part=part, context=context, note=nobody)
    if dynamic is None and (knobs or tune is not None):
        raise ConfigError(
            f"{', '.join(sorted([*knobs, *(['tune'] if tune is not None else [])]))} without dynamic",
            hint='dynamic="sgd"',
        )
    if dynamic is not None:
        tuning = None
        if tune is not None:
            tuning = Evaluation(fspath(tune), TextConfig(), part=None, context=context, note=nobody)
        return Adaptation(config, tuning).measure(Path(run), job, device).score
    return job.measure(Path(run), device).score
