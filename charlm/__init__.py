"""charlm: train, measure and use recurrent language models of characters and words.

The map, in the order of the data flow (a file is a step, a folder is a choice):

    text ──► tokenizers/ ──► vocab ──► codec ──► corpus ──► batches ──► models/ ──► scoring ──► reranking/
                                                                          │            ▲
                                                              training/ ──┘            ├── sampling
                                                                          families ──► runs ──► pipeline ──► cli/

    ground    errors, choices, config, shapes, storage, tensorfiles
    text      text, survey, tokenizers/, vocab, codec, corpus, nbest/, error_rates      (no torch)
    numbers   batches, models/, scoring, sampling, training/
    products  reranking/, families, runs, pipeline, cli/

From Python:

    import charlm
    run = charlm.load("checkpoints/tang")
    run.score(["床前明月光，疑是地上霜。"])
    run.sample("春江", count=3, temperature=0.8, seed=7)
"""

from typing import TYPE_CHECKING

from charlm.errors import CharlmError

if TYPE_CHECKING:
    from charlm.runs import Run

__version__ = "0.1.0"
__all__ = ["CharlmError", "__version__", "load"]


def load(path: str, device: str = "cpu") -> "Run":
    """Load a run directory; its `.model`, `.codec`, `.score(texts)` and `.sample(prompt)` are ready to use.

    Raises CharlmError (RunError, VocabError) where it cannot be used.
    """
    from charlm import runs  # torch takes seconds to load: only who asks for a model waits for it

    return runs.load(path, device)
