"""charlm: train, measure and use recurrent language models of characters and words.

The map (STEPS: the files of a room are the data flow in order; CHOICE: any one of them will do):

    cli/         CHOICE  parse, call, show: one file a command
    jobs/        CHOICE  what a command does, from paths to a result
    runs/        STEPS   the run directory
    families/    CHOICE  kinds of models, loaded by name
    training/    STEPS   how a model learns by gradient
    reranking/   STEPS   from scores to an order, and what it brought
    scoring, sampling    log-probabilities to figures, and to text
    models/      CHOICE  what a language model can be; models/cells/
    ngrams/      STEPS   counts, smoothing and tables; ngrams/arpa/
    text/        STEPS   bytes to mapped ids
    nbest/       CHOICE  formats of lists of candidates
    tokenizers/  CHOICE  text to tokens and back
    config/      STEPS   every knob, page by page
    tensorfiles, storage, choices, shapes, errors

From Python:

    import charlm
    run = charlm.train("poems.txt", "checkpoints/tang", preset="small", epochs=5)
    run = charlm.load("checkpoints/tang")
    run.score(["床前明月光，疑是地上霜。"])
    run.sample("春江", count=3, temperature=0.8, seed=7)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charlm.errors import CharlmError

if TYPE_CHECKING:
    from charlm.runs.run import Run

__version__ = "0.1.0"
__all__ = ["CharlmError", "__version__", "load", "train"]


def load(path: str | Path, device: str = "cpu") -> "Run":
    """Load a run directory; its `.model`, `.codec`, `.score(texts)` and `.sample(prompt)` are ready to use.

    Raises CharlmError (RunError, VocabError) where it cannot be used.
    """
    from charlm.runs.run import load as load_run

    return load_run(path, device)


def train(
    texts: str | Sequence[str],
    run: str | Path,
    *,
    valid: str | Sequence[str] = (),
    model: str | None = None,
    preset: str | None = None,
    **knobs: Any,
) -> "Run":
    """Train on text files, keep the run in the directory `run`, and load it.

    knobs  as on the command line, with `_` for `-`: `epochs=5`, `min_count=2`, `level="mixed"`
    Raises CharlmError; RunError where `run` exists.
    """
    from charlm.config.settings import refuse_unknown
    from charlm.jobs.train import settle
    from charlm.jobs.train import train as train_run
    from charlm.runs.run import load as load_run

    refuse_unknown(knobs)
    files, held_out = ([given] if isinstance(given, str) else list(given) for given in (texts, valid))
    train_run(settle(files, held_out, model=model, preset=preset, knobs=knobs), Path(run))
    return load_run(run)
