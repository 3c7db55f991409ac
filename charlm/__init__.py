"""charlm: train, measure and use recurrent language models of characters and words.

The map, in the order of the data flow (a file is a step, a folder is a choice):

    text ──► tokenizers/ ──► vocab ──► codec ──► corpus ──► batches ──► models/ ──► scoring ──► reranking/
                                                   │                      ▲            ▲
                                                   └──► ngrams/ ──────────┤            ├── sampling
                                                              training/ ──┘            │
                                                                          families ──► runs ──► pipeline ──► cli/

    ground    errors, choices, config, shapes, storage, tensorfiles
    text      text, survey, tokenizers/, vocab, codec, corpus, nbest/, error_rates      (no torch)
    numbers   batches, ngrams/ (no torch), models/, scoring, sampling, training/
    products  reranking/, families, runs, pipeline, tallying, exchanging, blending, cli/

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
    from charlm.runs import Run

__version__ = "0.1.0"
__all__ = ["CharlmError", "__version__", "load", "train"]


def load(path: str | Path, device: str = "cpu") -> "Run":
    """Load a run directory; its `.model`, `.codec`, `.score(texts)` and `.sample(prompt)` are ready to use.

    Raises CharlmError (RunError, VocabError) where it cannot be used.
    """
    from charlm import runs  # torch takes seconds to load: only who asks for a model waits for it

    return runs.load(path, device)


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
    from charlm import config, pipeline, runs

    config.refuse_unknown(knobs)
    files, held_out = ([given] if isinstance(given, str) else list(given) for given in (texts, valid))
    pipeline.train(pipeline.settle(files, held_out, model=model, preset=preset, knobs=knobs), Path(run))
    return runs.load(run)
