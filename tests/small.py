"""Models and corpora small enough to check by hand."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from charlm.config.networks import RecurrentConfig
from charlm.models.recurrent import Recurrent
from charlm.text.codec import Codec
from charlm.text.corpus import Corpus, Facts
from charlm.text.vocab import EOS, UNK, Vocab
from charlm.tokenizers import TOKENIZERS

torch.set_num_threads(1)


class Fixed:
    """A model of the same probabilities (V,) after every prefix. State: `(read,)`, (B, 1), how much was read."""

    def __init__(self, *probabilities: float) -> None:
        self.log_probs = torch.tensor(probabilities, dtype=torch.float64).log()
        self.vocab_size = len(probabilities)

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, 1, dtype=torch.float64),)

    def step(self, ids, state):
        return self.log_probs.expand(len(ids), -1), (state[0] + 1,)

    def score(self, inputs, targets, state):
        return self.log_probs[targets], (state[0] + inputs.shape[1],)


def corpus_of(documents: Sequence[Sequence[int]]) -> Corpus:
    """A corpus of these ids, each of which spells one character; nobody had to write it to a disk."""
    lengths = [len(document) for document in documents]
    ids = np.array([token for document in documents for token in document], dtype=np.uint16)
    starts = np.cumsum([0, *lengths])
    facts = Facts(len(documents), len(ids), len(ids), int((ids == UNK).sum()), 0, max(lengths))
    return Corpus(ids, starts, facts, "0")


def codec_of(text: str, *, reading="lines") -> Codec:
    """A codec of the characters of `text`, ids from 2 on in that order."""
    vocab = Vocab(["<EOS>", "<UNK>", *text], [1] * (2 + len(text)))
    return Codec(TOKENIZERS["char"](), vocab, level="char", reading=reading)


def recurrent(vocab_size: int = 7, *, seed: int = 3, dtype=torch.float64, **knobs) -> Recurrent:
    """A small recurrent network with weights that differ visibly from zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = RecurrentConfig(**{"layers": 2, "hidden": 5, "embedding": 4, "dropout": 0.0, **knobs})
        model = Recurrent(config, vocab_size).to(dtype)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() != 2:
                    parameter.uniform_(-0.5, 0.5)
    return model.eval()


def sentences(count: int, *, vocab_size: int = 12, longest: int = 20, seed: int = 0) -> list[list[int]]:
    """Documents of ids from 1 on, `<UNK>` among them, each closed by `<EOS>`."""
    numbers = np.random.default_rng(seed)
    lengths = numbers.integers(0, longest, count)
    return [[*numbers.integers(1, vocab_size, length).tolist(), EOS] for length in lengths]


def same_bits_in_any_batch() -> bool:
    """Whether this processor multiplies a row alike whatever stands beside it, from 16 rows on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rows, weight = torch.randn(256, 64), torch.randn(301, 64)
    whole = rows @ weight.t()
    return all(torch.equal(rows[:height] @ weight.t(), whole[:height]) for height in range(16, 80))


LN2 = math.log(2)
