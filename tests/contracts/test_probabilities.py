"""The law of every score: at each position of a text the probabilities of the whole vocabulary add to one, within 1e-5,
and `score` is the sum of what `step` says. For every family, cell, mixture and cache, tempered or adapting or neither,
in float32 as well, and after a training with every feature that changes what a step of training computes.
"""

import pytest
import torch
from small import corpus_of, recurrent, sentences
from tiny_models import TINY, WRAPPED

from charlm.config.networks import CELLS, RecurrentConfig
from charlm.config.training import TrainingConfig
from charlm.models.adapting import Adapting
from charlm.models.descents import Descent, ScaledDescent, Squares
from charlm.models.recurrent import Recurrent
from charlm.models.tempered import Tempered
from charlm.training.devices import Machine, bf16_fault
from charlm.training.gradient import fit
from charlm.training.journal import MemoryJournal
from charlm.training.texts import Texts

V = 23
WITHIN = 1e-5


def text(vocab_size: int = V, tokens: int = 90) -> torch.Tensor:
    """Two rows of random tokens, some of which come again and again, with line ends between."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        ids = torch.randint(vocab_size, (2, tokens))
        ids[:, 3::4] = torch.randint(5, (2, len(range(3, tokens, 4))))
    ids[:, 0] = 0
    return ids


def keep_the_law(model, ids):
    assert model.vocab_size > int(ids.max())
    whole, _ = model.score(ids[:, :-1], ids[:, 1:], model.initial_state(len(ids)))
    state, total = model.initial_state(len(ids)), torch.zeros(len(ids), dtype=torch.float64)
    for now, following in zip(ids.T[:-1], ids.T[1:], strict=True):
        log_probs, state = model.step(now, state)
        sums = log_probs.double().exp().sum(1)
        torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=WITHIN)
        total += log_probs.double().gather(1, following[:, None])[:, 0]
    torch.testing.assert_close(whole.double().sum(1), total, rtol=1e-5, atol=1e-4)


EVERY = {**{f"family {name}": make for name, make in TINY.items()}, **WRAPPED}
EVERY |= {f"{cell} in float32": lambda v, c=cell: recurrent(v, cell=c, dtype=torch.float32) for cell in CELLS}


@pytest.mark.parametrize("name", EVERY)
def test_probabilities_add_to_one_and_scores_are_sums_of_steps(name):
    with torch.no_grad():
        keep_the_law(EVERY[name](V), text())


# What changes the numbers of a training: knobs of the network, and the precision. A new feature is one line.
TRAININGS = {
    "plain": ({}, "float32"),
    "half precision": ({}, "bf16"),
    "dropout": ({"dropout": 0.5}, "float32"),
    "untied": ({"tied": False}, "float32"),
    "learned start": ({"learned_start": True}, "float32"),
    "sampled": ({"sampled": 0.2}, "float32"),
    "sampled in half precision": ({"sampled": 0.2, "dropout": 0.2}, "bf16"),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_whatever_a_network_was_trained_with_its_figures_are_probabilities(name, monkeypatch):
    monkeypatch.setattr("charlm.models.network.SMALLEST_SAMPLED", 10)
    knobs, precision = TRAININGS[name]
    if precision == "bf16" and bf16_fault(torch.device("cpu")) is not None:
        pytest.skip("this processor has no such kernels")
    config = RecurrentConfig(**{"layers": 1, "hidden": 12, "embedding": 8, "dropout": 0.0, **knobs})
    corpus = corpus_of(sentences(40, vocab_size=V))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = Recurrent(config, V)
    before = network.bias.detach().clone()
    machine = Machine(torch.device("cpu"), precision)
    settings = TrainingConfig(steps=12, batch_size=4, window=12, learning_rate=0.05, validations=2)
    fit(
        network, Texts(corpus, corpus, False), settings, machine=machine, journal=MemoryJournal(), report=lambda _: None
    )
    assert not torch.equal(before, network.bias)
    for model in (network.train(), network.eval(), Tempered(network, 0.8), *adapted(network)):
        with torch.no_grad():
            keep_the_law(model, text(tokens=30))


def adapted(network):
    """Dynamic evaluation both ways, the scaled one with the mean squares of a text."""
    squares = Squares()
    watching = Adapting(network, squares, segment=4)
    watching.score(text()[:1, :-1], text()[:1, 1:], watching.initial_state(1))
    yield Adapting(network, Descent(0.5, 0.01), segment=4)
    yield Adapting(network, ScaledDescent(0.01, 0.01, squares.roots()), segment=4)


def test_the_law_sees_what_is_no_probability():
    class Generous(Tempered):
        def step(self, ids, state):
            log_probs, after = super().step(ids, state)
            return log_probs + 2e-5, after

    with torch.no_grad(), pytest.raises(AssertionError):
        keep_the_law(Generous(recurrent(V), 1.0), text())
