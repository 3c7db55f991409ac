"""A model of each family with a few parameters, for the contract tests."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from charlm.config.models import MODELS, NgramConfig, UnigramConfig
from charlm.config.networks import ClozeConfig, RecurrentConfig, SurroundingConfig
from charlm.models.adapting import Adapting
from charlm.models.base import LanguageModel
from charlm.models.bidirectional import Bidirectional
from charlm.models.caches import NeuralCache, UnigramCache
from charlm.models.cloze import ClozeNetwork
from charlm.models.delays import Jordan, Narx, Window
from charlm.models.descents import Descent, ScaledDescent
from charlm.models.mixture import Mixture
from charlm.models.ngram import Ngram
from charlm.models.recurrent import Recurrent
from charlm.models.surrounding import Surrounding
from charlm.models.tempered import Tempered
from charlm.models.unigram import Unigram
from charlm.ngrams.columns import scratch_folder
from charlm.ngrams.counting import count
from charlm.ngrams.learning import learn


def tiny_recurrent(cell: str) -> Callable[[int], Recurrent]:
    def tiny(vocab_size: int) -> Recurrent:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            config = RecurrentConfig(cell=cell, layers=2, hidden=5, embedding=4)  # type: ignore[arg-type]
            return Recurrent(config, vocab_size).double().eval()

    return tiny


def tiny_delays(network: type[Jordan | Narx | Window], **knobs: int) -> Callable[[int], Jordan | Narx | Window]:
    def tiny(vocab_size: int) -> Jordan | Narx | Window:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            page = MODELS[network.__name__.lower()].page(layers=2, hidden=5, embedding=4, **knobs)
            return network(page, vocab_size).double().eval()

    return tiny


def tiny_ngram(vocab_size: int) -> Ngram:
    text = np.array([number % vocab_size for number in (2, 3, 4, 2, 3, 5, 0, 2, 3, 4, 6, 0, 5, 2, 3, 0, 6, 6, 1, 0)])
    beginnings = np.flatnonzero(np.roll(text, 1) == 0)
    with scratch_folder() as scratch:
        found = count(text, beginnings, vocab_size, 3, memory=1 << 20, scratch=scratch)
        tables = learn(found, NgramConfig(order=3, smoothing="witten-bell"), scratch, lambda _: None)
    return Ngram(tables)


def tiny_unigram(vocab_size: int) -> Unigram:
    return Unigram.from_counts(range(vocab_size), UnigramConfig())


def tiny_mixture(vocab_size: int) -> Mixture:
    parts: list[LanguageModel] = [
        tiny_ngram(vocab_size),
        tiny_recurrent("gru")(vocab_size),
        UnigramCache(vocab_size, window=3, decay=0.9),
    ]
    classes = tiny_ngram(vocab_size).class_count
    weights = torch.linspace(1, 2, classes * 3, dtype=torch.float64).reshape(classes, 3)
    return Mixture(parts, weights / weights.sum(1, keepdim=True), guide=0)


def tiny_scaled(vocab_size: int) -> Adapting:
    network = tiny_recurrent("lstm")(vocab_size)
    roots = [torch.linspace(0.1, 1, tensor.numel()).reshape(tensor.shape).to(tensor) for tensor in network.parameters()]
    return Adapting(network, ScaledDescent(0.1, 0.1, roots), segment=2)


def tiny_remembering(vocab_size: int, make: Callable[[nn.Module], LanguageModel] = lambda network: network) -> Mixture:
    """Everything at once: a tempered network with a cache of its own, an n-gram, a unigram cache."""
    network = Tempered(make(tiny_recurrent("gru")(vocab_size)), 1.4)
    cached = NeuralCache(network, theta=0.7, weight=0.3, window=4)
    parts = [cached, tiny_ngram(vocab_size), UnigramCache(vocab_size, window=3, decay=0.9)]
    return Mixture(parts, torch.tensor([[0.5, 0.3, 0.2]]))


# Models made of others, each held to the laws like a family.
WRAPPED: dict[str, Callable[[int], LanguageModel]] = {
    "tempered network": lambda v: Tempered(tiny_recurrent("lstm")(v), 0.7),
    "tempered counts": lambda v: Tempered(tiny_ngram(v), 1.3),
    "neural cache": lambda v: NeuralCache(tiny_recurrent("lstm")(v), theta=0.7, weight=0.3, window=4),
    "unigram cache": lambda v: UnigramCache(v, window=3, decay=0.9),
    "mixture of all": tiny_remembering,
    "adapting network": lambda v: Adapting(tiny_recurrent("lstm")(v), Descent(0.5, 0.1), segment=2),
    "adapting network, scaled": tiny_scaled,
    "adapting, tempered network": lambda v: Tempered(
        Adapting(tiny_recurrent("gru")(v), Descent(0.5, 0.0), segment=3), 1.3
    ),
    "adapting mixture of all": lambda v: tiny_remembering(
        v, lambda network: Adapting(network, Descent(0.5, 0.0), segment=3)
    ),
}

TINY: dict[str, Callable[[int], LanguageModel]] = {
    "recurrent": tiny_recurrent("lstm"),
    "jordan": tiny_delays(Jordan),
    "narx": tiny_delays(Narx, taps=3, output_taps=2),
    "window": tiny_delays(Window, taps=3),
    "ngram": tiny_ngram,
    "unigram": tiny_unigram,
    "mixture": tiny_mixture,
}


def tiny_cloze(vocab_size: int, *, seed: int = 3, **knobs: Any) -> Bidirectional:
    """A bidirectional network with weights that differ visibly from zero."""
    return awake(
        lambda: Bidirectional(
            ClozeConfig(**{"layers": 2, "hidden": 5, "embedding": 4, "dropout": 0.0, **knobs}), vocab_size
        ),
        seed,
    )


def tiny_surrounding(vocab_size: int, *, seed: int = 3, **knobs: Any) -> Surrounding:
    """A window on both sides with weights that differ visibly from zero."""
    return awake(
        lambda: Surrounding(
            SurroundingConfig(**{"layers": 2, "hidden": 5, "embedding": 4, "taps": 3, "dropout": 0.0, **knobs}),
            vocab_size,
        ),
        seed,
    )


C = TypeVar("C", bound=ClozeNetwork)


def awake(make: Callable[[], C], seed: int) -> C:
    """A network in float64, none of whose weights is zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make().double()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() != 2:
                    parameter.uniform_(-0.5, 0.5)
            model.places.uniform_(-0.5, 0.5)
    return model.eval()


TINY_CLOZE: dict[str, Callable[[int], ClozeNetwork]] = {"cloze": tiny_cloze, "cloze-window": tiny_surrounding}
of_kind = {kind: {name for name, about in MODELS.items() if about.kind == kind} for kind in ("causal", "cloze")}
assert TINY.keys() == of_kind["causal"], "every family is held to the laws"
assert TINY_CLOZE.keys() == of_kind["cloze"], "of either kind"
