"""A running total of surprise. Sums first, quotients last: a Score adds, so a mean of means never happens."""

import math
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from charlm.text.codec import Encoded
from charlm.text.corpus import charged_units
from charlm.text.vocab import UNK

LogProbArray = npt.NDArray[np.float64]

NATS_GRID = 2.0**20  # figures of documents are multiples of 1 / NATS_GRID, so that float64 adds them without rounding
UNKNOWN_UNIT_NATS = 16 * math.log(2)  # charge for one UTF-16 unit of an unknown token: as if spelled out in bits


@dataclass(frozen=True)
class Score:
    """A running total of surprise.

    Totals of `evaluate` are sums of multiples of 1 / NATS_GRID, about a millionth of a nat, so that floats add them
    exactly, in any order and grouping, up to 8 · 10⁹ nats.

    nats          total of -log P(target)
    tokens        targets predicted: `<EOS>` counts, padding and control tokens do not
    characters    code points that those targets spell, one for each predicted line end
    unknown       targets that were `<UNK>`
    unknown_nats  the part of `nats` that those cost
    units         UTF-16 units that the unknown tokens have
    """

    nats: float = 0.0
    tokens: int = 0
    characters: int = 0
    unknown: int = 0
    unknown_nats: float = 0.0
    units: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Score)))

    def on_grid(self) -> "Score":
        """The same with nats that are multiples of 1 / NATS_GRID: such Scores add exactly."""
        return replace(self, nats=_on_grid(self.nats), unknown_nats=_on_grid(self.unknown_nats))

    @property
    def perplexity(self) -> float:
        """Per token, `<UNK>` counted as a token: comparable only between models that share a vocabulary."""
        return _exp(self.nats, self.tokens)

    @property
    def perplexity_known(self) -> float:
        """Per token, `<UNK>` left out of the sum and of the count (SRILM's habit)."""
        return _exp(self.nats - self.unknown_nats, self.tokens - self.unknown)

    @property
    def charged_nats(self) -> float:
        """Nats if every unknown token is also spelled out, at 16 bits for each UTF-16 unit."""
        return self.nats + self.units * UNKNOWN_UNIT_NATS

    @property
    def perplexity_charged(self) -> float:
        """Per token, with unknown tokens spelled out."""
        return _exp(self.charged_nats, self.tokens)

    @property
    def nats_per_char(self) -> float:
        """Unknown tokens spelled out: comparable between any two models of the same text."""
        return self.charged_nats / self.characters if self.characters else math.nan

    @property
    def bits_per_char(self) -> float:
        """`nats_per_char` in bits."""
        return self.nats_per_char / math.log(2)

    @property
    def unknown_rate(self) -> float:
        """Share of targets that are `<UNK>`."""
        return self.unknown / self.tokens if self.tokens else math.nan


def perplexity_of(nats_per_token: float) -> float:
    """The perplexity of a mean surprise; infinite where no float holds it.

    >>> perplexity_of(0.0), perplexity_of(1e6)
    (1.0, inf)
    """
    try:
        return math.exp(nats_per_token)
    except OverflowError:
        return math.inf


def _on_grid(nats: float) -> float:
    # What is too large for the grid, or infinite, stays as it is.
    return round(nats * NATS_GRID) / NATS_GRID if abs(nats) < 2**53 / NATS_GRID else nats


def _exp(nats: float, tokens: int) -> float:
    return perplexity_of(nats / tokens) if tokens else math.nan


def score_of(encoded: Encoded, log_probs: LogProbArray) -> Score:
    """The Score of one document: log_probs (T,), nats, one for each id; those of control tokens do not count."""
    if encoded.controls:
        log_probs = log_probs[encoded.controls :]
    nats, tokens, unknown = float(-log_probs.sum()), len(log_probs), encoded.unknown
    if not unknown:
        return Score(nats, tokens, encoded.characters)
    unknown_nats = float(-log_probs[np.asarray(encoded.targets) == UNK].sum())
    return Score(nats, tokens, encoded.characters, len(unknown), unknown_nats, charged_units(unknown))
