"""Families of networks: trained by gradient, kept as weights. A network's file names its model and its shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from charlm import tensorfiles
from charlm.errors import ConfigError, RunError, VectorsError
from charlm.families.base import WEIGHTS_FILE, Family, Job, checked
from charlm.families.rounding import restored, rounded
from charlm.models.network import TokenNetwork
from charlm.text.decoding import Note
from charlm.text.vocab import EOS, SPECIALS, UNK, Vocab

if TYPE_CHECKING:
    from charlm.embedding.vectors import Matrix, WordVectors
    from charlm.training.gradient import Outcome
    from charlm.training.texts import Texts
    from charlm.training.trial import Estimate

N = TypeVar("N", bound=TokenNetwork)

BY_TOKEN = ("embedding.weight", "output.weight", "bias")  # weights with a row for each token


def _built(network: type[N], config: Any, vocab_size: int) -> N:
    """A network of this shape; raises ConfigError where no memory can hold it."""
    try:
        return network(config, vocab_size)
    except (RuntimeError, TypeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not any(word in str(error) for word in ("alloc", "verflow")):
            raise
        raise ConfigError(
            f"a network with --hidden {config.hidden} and --embedding {config.embedding} does not fit into memory",
            hint="try smaller ones; `charlm train --dry-run` tells what a network takes",
        ) from error


class Undrawn(TorchFunctionMode):
    """While it lasts, networks are made without drawing their first weights, for whom others replace them at once.

    To make recurrent matrices orthogonal takes longer than to read a run. What stands in the weights is anything.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.linalg.qr:
            return args[0], args[0][: args[0].shape[1]]
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


# How files of word vectors spell the end of a line and what is unknown: ours, word2vec, GloVe.
SPECIAL_WORDS = {EOS: (SPECIALS[EOS], "</s>"), UNK: (SPECIALS[UNK], "<unk>")}


def _take_vectors(model: TokenNetwork, vocab: Vocab, vectors: WordVectors, path: Path) -> int:
    """Begin with word vectors where the vocabulary has their words; the other tokens keep their fresh start.

    One factor for all makes those that are taken as large, in the mean of their squares, as a fresh network's; so the
    first layer reads what it expects, and directions and relative lengths are the file's.
    Raises VectorsError for another size, and where no word is shared.
    """
    size = model.embedding.embedding_dim
    if vectors.size != size:
        raise VectorsError(
            f"{path} has vectors of {vectors.size} numbers, and --embedding is {size}",
            hint=f"train with --embedding {vectors.size}",
        )
    spellings = {token: SPECIAL_WORDS.get(number, (token,)) for number, token in enumerate(vocab.tokens)}
    rows = {
        number: next(vectors.places[word] for word in spellings[token] if word in vectors.places)
        for number, token in enumerate(vocab.tokens)
        if number not in vocab.control_ids and any(word in vectors.places for word in spellings[token])
    }
    if not rows.keys() - SPECIAL_WORDS.keys():
        raise VectorsError(
            f"{path} has no vector of any token of the text", hint="cut the text as theirs was: --level, --simplify"
        )
    taken = torch.from_numpy(vectors.matrix[list(rows.values())])
    scale = size**-0.5 / float(taken.square().mean().sqrt().clamp(min=1e-12))
    with torch.no_grad():
        model.embedding.weight[list(rows)] = taken * scale
    return len(rows)


def _vectors_of(model: TokenNetwork) -> Matrix:
    """What the first layer is given for each token (V, E)."""
    with torch.no_grad():
        found: Matrix = (model.embedding.weight * model.input_scale).float().cpu().numpy()
    return found


def family_of(
    network: type[N],
    name: str,
    shape: Callable[[Any], Mapping[str, str]],
    prepared: Callable[[Texts], Texts] = lambda texts: texts,
) -> Family[N]:
    """A family of one kind of network.

    network  made of (page, vocabulary size)
    name     what it is called
    shape    page -> what two networks must share for one to begin from the other, each as the option that asks for it
    prepared what is made of the texts before they are learned
    """

    def fresh(config: Any, vocab: Vocab, seed: int) -> N:
        """A network whose weights depend on the seed alone; it begins with the frequencies of the tokens."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = _built(network, config, len(vocab))
        counts = torch.tensor(vocab.counts, dtype=torch.float64) + 1
        model.set_prior((counts / counts.sum()).log())
        return model

    def load(config: Any, vocab_size: int, folder: Path) -> N:
        """A network with the weights of a run directory; RunError where they do not fit its config."""
        tensors = restored(tensorfiles.read(folder / WEIGHTS_FILE)[0], folder / WEIGHTS_FILE)
        # Without memory (meta) only where a size of the config is larger than any in the file, which `checked` refuses
        # then: to make a network so costs seconds, since torch loads its compiler for it.
        largest = max((size for tensor in tensors.values() for size in tensor.shape), default=0)
        fits = max(config.hidden, config.embedding, vocab_size) <= largest
        try:
            with torch.random.fork_rng(devices=[]), Undrawn() if fits else torch.device("meta"):
                model = _built(network, config, vocab_size)
        except ConfigError as error:
            raise RunError(f"{folder}: {error}", hint="config.json was edited; restore it") from error
        checked(tensors, model.state_dict(), folder / WEIGHTS_FILE)
        model.load_state_dict(tensors)
        return model.eval()

    def init_from(model: Any, vocab: Vocab, other: Any, theirs: Vocab, path: Path, note: Note) -> None:
        """Take over the weights of another network, the rows of the vocabulary token by token.

        Tokens that the other one did not know keep their fresh start. Raises RunError where the networks differ.
        """
        if not isinstance(other, network):
            raise RunError(
                f"--init-from {path}: only {name} models have weights for this one to begin from", hint="leave it out"
            )
        mine, wanted = shape(model.config), shape(other.config)
        differing = [option for knob, option in wanted.items() if mine[knob] != option]
        if differing:
            raise RunError(f"{path} is another network", hint=f"train with {' '.join(differing)}")
        note(f"began from {path}: {_take_over(model, vocab, other, theirs)}")

    def fit(model: TokenNetwork, job: Job) -> Outcome:
        """Train by gradient."""
        from charlm.training import gradient  # here, and not above: who reads a run waits for no trainer

        return gradient.fit(
            model,
            prepared(job.texts),
            job.training,
            machine=job.machine,
            journal=job.journal,
            report=job.report,
        )

    def try_out(model: TokenNetwork, job: Job) -> Estimate:
        """What training this network would take."""
        from charlm.training import trial

        return trial.estimate(model, prepared(job.texts), job.training, job.machine)

    vectors: Any = {"take_vectors": _take_vectors, "vectors_of": _vectors_of}
    return Family(fresh=fresh, load=load, fit=fit, init_from=init_from, trial=try_out, rounded=rounded, **vectors)


def _take_over(model: TokenNetwork, vocab: Vocab, other: TokenNetwork, theirs: Vocab) -> str:
    # A control token is another thing than a token of the text that is spelled alike.
    shared = [
        (vocab.ids[t], row)
        for t, row in theirs.ids.items()
        if t in vocab.ids and (vocab.ids[t] in vocab.control_ids) == (row in theirs.control_ids)
    ]
    here, there = (torch.tensor(rows) for rows in zip(*shared, strict=True))
    weights = other.state_dict()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.shape[0] == model.vocab_size and name in BY_TOKEN:
                tensor[here] = weights[name][there]
            else:
                tensor.copy_(weights[name])
    new, dropped = len(vocab) - len(shared), len(theirs) - len(shared)
    return f"{len(shared):,} tokens kept, {new:,} new, {dropped:,} left behind"


def options_of(config: Any, *names: str) -> dict[str, str]:
    """Some knobs of a page, each as the option that asks for its value."""
    return {name: f"--{name.replace('_', '-')} {getattr(config, name)}" for name in names} | {
        "tied": "--tied" if config.tied else "--untied"
    }
