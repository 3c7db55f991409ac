"""What a network begins with: drawn weights, those of another run, or word vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from charlm import storage
from charlm.config.models import MODELS
from charlm.embedding import formats
from charlm.embedding.vectors import WordVectors
from charlm.errors import ConfigError, RunError
from charlm.families import FAMILIES, WEIGHTS_FILE
from charlm.jobs import embed
from charlm.jobs.settle import NOT_TRAINED, absolute
from charlm.runs.cloze import load_any
from charlm.runs.layout import RunConfig
from charlm.text.codec import Codec
from charlm.text.corpus import Corpus
from charlm.text.decoding import Note


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
    other = load_any(path)
    if other.codec.reverse != codec.reverse:
        ways = ("backwards", "forwards") if other.codec.reverse else ("forwards", "backwards")
        note(f"{path} reads its lines {ways[0]} and this run {ways[1]}: token vectors serve both, the rest learns anew")
    init_from(model, codec.vocab, other.model, other.codec.vocab, path, note)


def vectors_for(config: RunConfig, path: Path | None, init_from: Path | None) -> tuple[WordVectors, Path] | None:
    """The word vectors that a network shall begin with, read before anything else is done."""
    if path is None:
        if getattr(config.family, "freeze_embeddings", False) and init_from is None and not begins_with_counts(config):
            raise ConfigError("--freeze-embeddings keeps the vectors of --embeddings, and none were given",
                              hint="give both, or --start-vectors counts, or leave it out")  # fmt: skip
        return None
    if init_from is not None:
        raise ConfigError("--init-from and --embeddings both say with which vectors to begin", hint="give one of them")
    if FAMILIES[config.model].take_vectors is None:
        able = ", ".join(name for name in FAMILIES if FAMILIES[name].take_vectors is not None)
        raise ConfigError(f"--embeddings is for --model {able}, not for {config.model}", hint="leave it out")
    return (embed.of_run if storage.is_folder(path) else formats.read)(path), path


def read_by(
    model: Any, config: RunConfig, codec: Codec, vectors: WordVectors, path: Path, note: Note
) -> dict[str, Any]:
    """Let a network read by word vectors, say how many of its tokens have one, and give what run.json keeps of it."""
    take = FAMILIES[config.model].take_vectors
    assert take is not None  # `vectors_for` has refused the others
    found, of = take(model, codec.vocab, vectors, path), len(codec.vocab)
    note(f"vectors of {path}: {found:,} of the {of:,} tokens of the vocabulary have one ({found / of:.1%})")
    file = path / WEIGHTS_FILE if storage.is_folder(path) else path
    told = {"from": absolute(str(path)), "sha256": storage.sha256_of(file), "found": found}
    return {**told, "frozen": config.family.freeze_embeddings}


def begins_with_counts(config: RunConfig) -> bool:
    """Whether a network asks for vectors from counts, if nothing else brings some."""
    return getattr(config.family, "start_vectors", "drawn") != "drawn"


def read_by_counts(
    model: Any, config: RunConfig, codec: Codec, texts: Sequence[tuple[Corpus, float]]
) -> dict[str, Any] | None:
    """Let a network read by vectors from counts of what it learns, and give what run.json keeps of it.

    texts  each with its weight
    Where a vocabulary is no larger than vectors are long, auto leaves them drawn and gives None, and counts raises
    ConfigError.
    """
    tokens, size = len(codec.vocab), config.family.embedding
    if tokens <= size:
        if config.family.start_vectors == "auto":
            return None
        raise ConfigError(
            f"--start-vectors counts needs more tokens than vectors have numbers: there are {tokens:,} and {size:,}",
            hint=f"leave it out, or take a smaller --embedding than {size}",
        )
    from charlm.embedding.counted import vectors_from_counts

    matrix = vectors_from_counts(texts, tokens, size, config.training.seed)
    seen = np.flatnonzero(matrix.any(axis=1))
    take = FAMILIES[config.model].take_vectors
    assert take is not None  # every page that has the knob is of such a family
    vectors = WordVectors([codec.vocab.tokens[row] for row in seen], matrix[seen])
    found = take(model, codec.vocab, vectors, Path("counts"))
    return {
        "from": "counts of neighbours in the text",
        "sha256": texts[0][0].sha256,
        "found": found,
        "frozen": config.family.freeze_embeddings,
    }
