"""Models that remember: what was read a moment ago is likely to come again.

`UnigramCache` counts recent tokens (Kuhn & De Mori 1990) and is one member of a mixture. `NeuralCache` asks
in which moments a recurrent network felt as it feels now, and expects what followed then (Grave, Joulin &
Usunier 2017). Nothing in them is learned, so they adapt to any text while they read it.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from charlm.errors import ConfigError
from charlm.models.base import LanguageModel, device_of, renewed
from charlm.models.output import wide
from charlm.shapes import Ids, LogProbs, State
from charlm.text.vocab import EOS

EMPTY = -1  # nothing stands here yet
AWAITED = -2  # the token after this hidden vector has not been read yet
BLOCK_NUMBERS = 1 << 22  # numbers compared at once: B × T × window of them


def _check_window(window: int) -> None:
    if window < 1:
        raise ConfigError(f"a cache of {window} tokens remembers nothing", hint="a window is 1 or larger")


class UnigramCache:
    """The last tokens, each as likely as it was frequent, the newest counting most (Kuhn & De Mori 1990).

        P(w) = Σ_j decay^j [w_{t-j} = w] / Σ_j decay^j          j = 0 … window - 1

    State: `(recent,)`, (B, window) int64, newest last. `<EOS>` is structure and no word: reading it leaves
    the memory as it is. Where nothing is remembered yet, every token is equally likely.
    """

    def __init__(self, vocab_size: int, *, window: int, decay: float) -> None:
        _check_window(window)
        if not 0 < decay <= 1:
            raise ConfigError(f"a decay of {decay} cannot be", hint="above 0, and at most 1, which forgets nothing")
        self.vocab_size = vocab_size
        self.window = window
        self.decay = decay
        self._powers = decay ** torch.arange(window - 1, -1, -1, dtype=torch.float64)

    def initial_state(self, batch_size: int) -> State:
        return (torch.full((batch_size, self.window), EMPTY),)

    @torch.no_grad()
    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        (recent,) = state
        recent = torch.where(ids[:, None] == EOS, recent, torch.cat([recent[:, 1:], ids[:, None]], dim=1))
        weights = self._powers.to(recent.device) * (recent != EMPTY)
        totals = weights.sum(1, keepdim=True)
        counts = weights.new_zeros(len(ids), self.vocab_size).scatter_add(1, recent.clamp(min=0), weights)
        return torch.where(totals > 0, counts / totals, 1 / self.vocab_size).log(), (recent,)

    @torch.no_grad()
    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        (recent,) = state
        heard = torch.cat([recent, inputs], dim=1)
        # Stable, so the words keep their order; the line ends go behind all of them, where nobody looks.
        words = heard.gather(1, (heard == EOS).to(torch.uint8).argsort(dim=1, stable=True))
        memories = words.unfold(1, self.window, 1)  # (B, 1 + T, window): after 0, 1, … T words, as a view
        read = (inputs != EOS).cumsum(1)
        rows = torch.arange(len(inputs), device=recent.device)[:, None]
        powers = self._powers.to(recent.device)
        columns = []
        for part in _blocks(inputs.shape[1], BLOCK_NUMBERS // (len(inputs) * self.window)):
            memory = memories[rows, read[:, part]]
            counts = (memory == targets[:, part, None]).double() @ powers
            totals = (memory != EMPTY).double() @ powers
            columns.append(torch.where(totals > 0, counts / totals, 1 / self.vocab_size).log())
        return torch.cat(columns, dim=1), (memories[rows[:, 0], read[:, -1]],)


def _blocks(length: int, size: int) -> list[slice]:
    """The slices that cut `length` into pieces of `size`, at least 1."""
    size = max(1, size)
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


class Traced(LanguageModel, Protocol):
    """A language model that shows its hidden vectors.

    One that offers `felt`, `spoken` and `log_probs`, as a recurrent network does, is read once instead of twice.
    """

    def trace(self, inputs: Ids, state: State, *, gates: bool) -> dict[str, Tensor]:
        """inputs (B, T)  ->  {"hidden": (B, T, L, H)}, the top layer last, and gates if they are asked for"""


class NeuralCache:
    """A recurrent model with a continuous cache (Grave, Joulin & Usunier 2017, eq. 2-4).

        p(w) = (1 - weight) p_model(w) + weight p_cache(w)
        p_cache(w) ∝ Σ_i [w = x_{i+1}] exp(theta h_t · h_i)          over the last `window` pairs (h_i, x_{i+1})

    State: the model's leaves, then `keys` (B, window + 1, H), the hidden vectors of the top layer, and
    `values` (B, window + 1) int64, the tokens that followed them, newest last. The last vector waits for its
    token. Where no pair is stored yet, the model speaks alone.
    """

    def __init__(self, model: Traced, *, theta: float, weight: float, window: int) -> None:
        _check_window(window)
        if not (0 <= theta < math.inf):
            raise ConfigError(f"a cache cannot have the theta {theta}", hint="0 counts all moments alike; try 0.3")
        if not 0 <= weight <= 1:
            raise ConfigError(f"a cache cannot have the weight {weight}", hint="0 leaves the cache out, 1 the model")
        if not hasattr(model, "trace"):
            raise ConfigError("this model shows no hidden vectors to remember", hint="wrap a recurrent model")
        self.model = model
        self.vocab_size = model.vocab_size
        self.theta = theta
        self.weight = weight
        self.window = window

    @torch.no_grad()
    def initial_state(self, batch_size: int) -> State:
        # Asked anew each time: whoever owns the model may have moved it or changed its precision.
        start = self.model.initial_state(1)
        hidden = self._hidden(torch.full((1, 1), EOS, device=device_of(start)), start)
        keys = hidden.new_zeros(batch_size, self.window + 1, hidden.shape[-1])
        values = torch.full((batch_size, self.window + 1), EMPTY, device=hidden.device)
        return (*self.model.initial_state(batch_size), keys, values)

    def renewed(self, state: State) -> State:
        """What was remembered is forgotten; of the model only what `renewed` forgets."""
        return (*renewed(self.model, state[:-2]), *self.initial_state(len(state[-1]))[-2:])

    def over(self, model: LanguageModel) -> "NeuralCache":
        """The same cache for another model."""
        return NeuralCache(cast(Traced, model), theta=self.theta, weight=self.weight, window=self.window)

    def _hidden(self, inputs: Ids, state: State) -> Tensor:
        """The top layer's vectors: inputs (B, T)  ->  (B, T, H), in float32 or wider"""
        return wide(self.model.trace(inputs, state, gates=False)["hidden"][:, :, -1])

    def _stepped(self, ids: Ids, state: State) -> tuple[LogProbs, Tensor, State]:
        """What the model says after ids (B), the top layer's vectors (B, 1, H), and its state after."""
        felt: Any = getattr(self.model, "felt", None)
        if felt is None:
            log_probs, after = self.model.step(ids, state)
            return log_probs, self._hidden(ids[:, None], state), after
        hidden, vectors, after = felt(ids[:, None], state)
        return cast(Any, self.model).log_probs(vectors[:, 0]), wide(hidden), after

    def _scored(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, Tensor, State]:
        """What the model says of `targets`, the top layer's vectors, and its state after; as `_stepped`."""
        felt: Any = getattr(self.model, "felt", None)
        if felt is None:
            log_probs, after = self.model.score(inputs, targets, state)
            return log_probs, self._hidden(inputs, state), after
        hidden, vectors, after = felt(inputs, state)
        return cast(Any, self.model).spoken(vectors, targets), wide(hidden), after

    @torch.no_grad()
    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        log_probs, hidden, after = self._stepped(ids, state[:-2])
        keys, values = self._remembered(ids[:, None], hidden, state)
        keys, values = keys[:, 1:], values[:, 1:]
        stored, followed = keys[:, :-1], values[:, :-1]
        likeness = (stored @ keys[:, -1, :, None])[..., 0].double() * self.theta
        empty = followed < 0
        found = _spread(likeness.masked_fill(empty, -math.inf), followed, self.vocab_size)
        log_probs = log_probs.double()
        found = torch.where(empty.all(1, keepdim=True), log_probs, found)
        return self._mixed(log_probs, found), (*after, keys, values)

    @torch.no_grad()
    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        model_log_probs, cache_log_probs, after = self.parts(inputs, targets, state, [self.theta])
        return self._mixed(model_log_probs, cache_log_probs[0]), after

    @torch.no_grad()
    def parts(
        self, inputs: Ids, targets: Ids, state: State, thetas: Sequence[float]
    ) -> tuple[LogProbs, LogProbs, State]:
        """What the model says and what the cache says, so that theta and weight can be tuned after one reading.

        inputs, targets (B, T), thetas (K)  ->  log_probs (B, T) of the model, (K, B, T) of the cache, nats, and
        the state after `inputs`

        The cache says -inf where the target is none of the stored tokens, whatever theta; an empty one says
        what the model says.
        """
        model_log_probs, hidden, after = self._scored(inputs, targets, state[:-2])
        model_log_probs = model_log_probs.double()
        keys, values = self._remembered(inputs, hidden, state)
        # By halves: a block of t queries meets t + window keys, and both t² and t × window stay below half.
        room = BLOCK_NUMBERS // (2 * len(inputs))
        columns = []
        for part in _blocks(inputs.shape[1], min(room // self.window, math.isqrt(room))):
            queries = keys[:, self.window + 1 + part.start : self.window + 1 + part.stop]
            met = slice(part.start + 1, part.stop + self.window)
            likeness = (queries @ keys[:, met].mT).double()
            # Query t sees the `window` pairs before it: row r of the block the columns r … r + window - 1.
            behind = torch.ones_like(likeness[0], dtype=torch.bool).triu().tril(self.window - 1)
            seen = behind & (values[:, None, met] >= 0)
            right = seen & (values[:, None, met] == targets[:, part, None])
            found = torch.stack([_share(likeness * theta, right, seen) for theta in thetas])
            columns.append(torch.where(seen.any(-1), found, model_log_probs[:, part]))
        after = (*after, keys[:, -self.window - 1 :], values[:, -self.window - 1 :])
        return model_log_probs, torch.cat(columns, dim=2), after

    def _remembered(self, inputs: Ids, hidden: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """What is stored, with inputs (B, T) and what was felt after each, hidden (B, T, H), behind it

        ->  keys (B, window + 1 + T, H), values (B, window + 1 + T)
        """
        keys, values = state[-2:]
        # The first token of a text follows nothing, so before it no vector waits.
        first = torch.where(values[:, -1:] == AWAITED, inputs[:, :1], EMPTY)
        last = torch.full_like(first, AWAITED)
        return torch.cat([keys, hidden.to(keys.dtype)], dim=1), torch.cat(
            [values[:, :-1], first, inputs[:, 1:], last], dim=1
        )

    def _mixed(self, model_log_probs: LogProbs, cache_log_probs: LogProbs) -> LogProbs:
        """Both in one; where an empty cache says what the model says, so does the mixture."""
        weights = torch.tensor([1 - self.weight, self.weight], dtype=torch.float64).log().tolist()
        return torch.logaddexp(model_log_probs + weights[0], cache_log_probs + weights[1])


def _share(logits: Tensor, some: Tensor, among: Tensor) -> LogProbs:
    """What `some` logits have of the softmax `among` these: (..., N)  ->  (...), nats; nan among none"""
    part = torch.logsumexp(logits.masked_fill(~some, -math.inf), dim=-1)
    return part - torch.logsumexp(logits.masked_fill(~among, -math.inf), dim=-1)


def _spread(logits: Tensor, tokens: Ids, vocab_size: int) -> LogProbs:
    """The softmax of logits (B, N), added up by token (B, N)  ->  (B, V), nats; nan where all are -inf"""
    tokens = tokens.clamp(min=0)
    nothing = logits.new_full((len(logits), vocab_size), -math.inf)
    # Each token by its own best, not by the row's: a probability too small for a float64 is not yet zero.
    best = nothing.scatter_reduce(1, tokens, logits, "amax")
    behind = (logits - best.gather(1, tokens)).exp().masked_fill(logits == -math.inf, 0.0)
    sums = torch.zeros_like(best).scatter_add(1, tokens, behind)
    return best + sums.log() - torch.logsumexp(logits, dim=1, keepdim=True)
