"""Text files to word vectors, word vectors to answers, and networks to word vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charlm import storage
from charlm.config.embedding import EmbeddingConfig
from charlm.config.text import TextConfig
from charlm.embedding import formats, plane
from charlm.embedding.vectors import WordVectors, some_of
from charlm.errors import MissingExtra, RunError
from charlm.jobs.prepare import encoded, plain_files
from charlm.text import census, files
from charlm.text.codec import Codec
from charlm.text.survey import Survey
from charlm.text.vocab import SPECIALS

if TYPE_CHECKING:
    from charlm.jobs.watching import Watcher


@dataclass(frozen=True)
class Embedded:
    """Word vectors fresh from a text, and what is told of them.

    words_read  of the text in all passes, those that were passed over included
    """

    vectors: WordVectors
    words_read: int
    seconds: float
    loss: float
    threads: int
    method: str


def train(sources: Sequence[str], text: TextConfig, config: EmbeddingConfig, watcher: "Watcher") -> Embedded:
    """The word vectors of some text files. Text that flows by only once is refused, since it is read several times.

    Raises TextError, VocabError, MissingExtra, Stopped, TrainingError.
    """
    from charlm.embedding import skipgram
    from charlm.embedding.frequencies import counts_of

    names = plain_files(sources)
    survey = Survey()
    taken = census.take(files.documents(sources, text, note=watcher.note), text, survey)
    vocab, loss = taken.codec.vocab, taken.loss
    for remark in survey.remarks:
        watcher.note(remark)
    counts = counts_of(vocab.tokens, vocab.counts)
    lost = f"; {loss.types:,} rarer ones have none, {loss.rate:.2%} of the text" if loss.types else ""
    watcher.note(f"words that get a vector: {int((counts > 0).sum()):,}{lost}")
    corpus = encoded(names, text, taken.codec, "whole", lambda: files.documents(sources, text))
    learned = skipgram.learn(corpus, counts, config, report=watcher.report, signal=watcher.signal)
    kept = [place for place, count in enumerate(counts) if count > 0]
    vectors = some_of(vocab.tokens, learned.matrix, kept)
    return Embedded(vectors, learned.words, learned.seconds, learned.loss, learned.threads, learned.method)


def of_run(path: Path) -> WordVectors:
    """The vectors by which the network of a run reads its tokens; raises RunError for a model that has none."""
    from charlm.families import FAMILIES
    from charlm.runs.cloze import load_any

    run = load_any(path)
    vectors_of = FAMILIES[run.config.model].vectors_of
    if vectors_of is None:
        raise RunError(
            f"{path} is a {run.config.model} model, and only networks read tokens by vectors",
            hint="name a run of a network; of a mixture, one of its members",
        )
    return WordVectors(list(run.codec.vocab.tokens), vectors_of(run.model))


def read(path: Path) -> WordVectors:
    """The vectors of a file, or those of the words that the network of a run reads.

    What is no word, such as the end of a line, has a vector in a run, and is left out.
    Raises as `formats.read` and `of_run` do.
    """
    if not storage.is_folder(path):
        return formats.read(path)
    every = of_run(path)
    first = len(SPECIALS) + Codec.load(path).vocab.controls
    return some_of(every.words, every.matrix, range(first, len(every)))


def write(vectors: WordVectors, path: Path) -> None:
    """Write vectors, whole or not at all, in the format that the name asks for; raises StorageError."""
    formats.write(vectors, path)


def draw(
    vectors: WordVectors, words: Sequence[str], path: Path | None
) -> tuple[list[dict[str, Any]], float, str | None]:
    """Some words in the plane, drawn to a PNG where one is named: points, share of the variance, what is to be said.

    Raises VectorsError, StorageError, and MissingExtra without matplotlib.
    """
    chosen = list(dict.fromkeys(words))
    flat, share = plane.points(vectors, chosen)
    remark = None
    if path is not None:
        try:
            remark = plane.picture(chosen, flat, share, path)
        except ImportError:
            raise MissingExtra("matplotlib", "plot", "--plot") from None
    told = [{"word": word, "x": float(x), "y": float(y)} for word, (x, y) in zip(chosen, flat, strict=True)]
    return told, share, remark
