"""Drawing text from a model: filters over the next token's log-probabilities, then one draw.

Filters are pure functions and composition is a list; the order of the list is the order of application.
Sample number i draws from its own generator, made of (seed, i), so the size of the batch does not change
what it says (exactly in float64; in float32 up to the rounding of the model).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from charlm.config.sampling import SamplingConfig
from charlm.errors import ConfigError
from charlm.models.base import LanguageModel, device_of, pick
from charlm.shapes import Ids, LogProbs, Mask
from charlm.text.vocab import EOS, SPECIALS, UNK

Filter: TypeAlias = Callable[[LogProbs, Ids], LogProbs]  # (B, V), what was said so far (B, T) -> (B, V)
OnToken: TypeAlias = Callable[[int, int], None]  # (number of the sample, token id)

NEVER = -math.inf
LEAST_MASS = -40.0  # nats: a sum of probabilities above it has lost none of them to the smallest float


class Constraint(Protocol):
    """A filter with memory, such as the form of a verse: which tokens may come next, given what was drawn.

    Each sample has a state of its own, which is a value and never changes: so samples may share a Constraint, and
    what it says does not depend on the batch. It sees what is drawn, not the prompt.
    """

    def start(self) -> Any:
        """The state before anything is drawn."""

    def allowed(self, state: Any) -> Mask:
        """Which tokens may be drawn in this state: (V,), `<EOS>` among them where a sample may end."""

    def advance(self, state: Any, token: int) -> Any:
        """The state after `token`, which was allowed, is drawn."""


def temperature(value: float) -> Filter:
    """Sharpen (below 1) or flatten (above 1) a distribution; 0 keeps only the likeliest token."""

    def apply(log_probs: LogProbs, _said: Ids) -> LogProbs:
        if value == 0:
            best = log_probs.argmax(-1, keepdim=True)
            return torch.full_like(log_probs, NEVER).scatter(-1, best, 0.0)
        # Relative to the best, and in float64: else a very small temperature makes every token impossible.
        behind = log_probs.double() - log_probs.max(-1, keepdim=True).values.double()
        return torch.log_softmax(behind / value, dim=-1)

    return apply


def top_k(k: int) -> Filter:
    """Keep the k likeliest tokens (Fan et al. 2018); of equal ones, those with the smaller id."""

    def apply(log_probs: LogProbs, _said: Ids) -> LogProbs:
        order = log_probs.argsort(dim=-1, descending=True, stable=True)
        return log_probs.scatter(-1, order[:, k:], NEVER)

    return apply


def top_p(p: float) -> Filter:
    """Keep the likeliest tokens that together reach probability p (Holtzman et al. 2020)."""

    def apply(log_probs: LogProbs, _said: Ids) -> LogProbs:
        order = log_probs.argsort(dim=-1, descending=True, stable=True)
        probs = torch.softmax(log_probs.double(), dim=-1).gather(-1, order)
        # A token stays while what stands before it falls short of p: the first one always stays.
        beyond = probs.cumsum(-1) - probs >= p
        return log_probs.masked_fill(torch.zeros_like(beyond).scatter(-1, order, beyond), NEVER)

    return apply


def min_p(share: float) -> Filter:
    """Keep tokens at least `share` times as likely as the likeliest (Nguyen et al. 2024)."""

    def apply(log_probs: LogProbs, _said: Ids) -> LogProbs:
        floor = log_probs.max(-1, keepdim=True).values + math.log(share)
        return log_probs.masked_fill(log_probs < floor, NEVER)

    return apply


def repetition_penalty(strength: float) -> Filter:
    """Divide the probability of what was said already by `strength`, once for each token (after Keskar et al. 2019).

    Their rule divides logits, which has no meaning for log-probabilities; here it is the probability.
    `<EOS>` is spared, so that a text may end.
    """

    def apply(log_probs: LogProbs, said: Ids) -> LogProbs:
        if not said.shape[1]:
            return log_probs
        used = torch.zeros_like(log_probs, dtype=torch.bool).scatter(-1, said, True)
        used[:, EOS] = False
        return torch.where(used, log_probs - math.log(strength), log_probs)

    return apply


def never(tokens: Sequence[int]) -> Filter:
    """Forbid some tokens."""

    ids = torch.tensor(list(tokens), dtype=torch.int64)

    def apply(log_probs: LogProbs, _said: Ids) -> LogProbs:
        return log_probs.index_fill(-1, ids.to(log_probs.device), NEVER)

    return apply


def filters_of(config: SamplingConfig) -> list[Filter]:
    """The filters that a config asks for, in the order of their application."""
    chosen: list[Filter] = []
    if config.repetition > 1:
        chosen.append(repetition_penalty(config.repetition))
    if config.temperature != 1:
        chosen.append(temperature(config.temperature))
    if config.top_k is not None:
        chosen.append(top_k(config.top_k))
    if config.top_p is not None:
        chosen.append(top_p(config.top_p))
    if config.min_p is not None:
        chosen.append(min_p(config.min_p))
    return chosen


@dataclass(frozen=True)
class Sample:
    """What was drawn: ids without the prompt, and whether `<EOS>` ended them; log_prob (nats) is the model's own.

    forced  nats that the constraint cost: minus the log of the probability that its masks left, summed over the tokens
    """

    ids: list[int]
    ended: bool
    log_prob: float
    forced: float = 0.0


def generator_of(seed: int, number: int) -> torch.Generator:
    """The random numbers of sample `number`: the same whatever other samples are drawn beside it."""
    # The golden ratio's bits keep (1, 2) and (2, 1) apart; torch mixes the seed further.
    return torch.Generator().manual_seed((seed * 0x9E3779B97F4A7C15 + number) % (1 << 63))


def draw(log_probs: LogProbs, generators: Sequence[torch.Generator]) -> Tensor:
    """Draw one token per row by inverting its distribution function: (B, V) -> (B,)."""
    totals = log_probs.double().softmax(-1).cumsum(-1)
    throws = torch.tensor([float(torch.rand((), dtype=torch.float64, generator=g)) for g in generators])
    throws = throws.to(totals)[:, None] * totals[:, -1:]
    # `right` skips tokens of probability zero even where the throw is exactly 0.
    drawn = torch.searchsorted(totals, throws, right=True)[:, 0]
    # A throw that rounding carries to the very top takes the last token that adds anything.
    last = torch.searchsorted(totals, totals[:, -1:].contiguous())[:, 0]
    return torch.minimum(drawn, last)


def _mass(log_probs: LogProbs, allowed: Tensor) -> Tensor:
    """The logarithm of the probability of what is allowed: (B, V), (B, V) -> (B,)"""
    # A logsumexp takes three times as long where much is infinite, but is right where probabilities are no floats.
    found = (log_probs.exp() * allowed).sum(-1).log()
    return found if bool((found > LEAST_MASS).all()) else log_probs.masked_fill(~allowed, NEVER).logsumexp(-1)


@torch.no_grad()
def sample(
    model: LanguageModel,
    prompt: Sequence[int],
    numbers: Sequence[int],
    config: SamplingConfig,
    *,
    told: Sequence[int] = (),
    ends: bool = True,
    controls: int = 0,
    filters: Sequence[Filter] = (),
    constraint: Constraint | None = None,
    on_token: OnToken | None = None,
) -> list[Sample]:
    """Continue `prompt` (ids, without the opening `<EOS>`, control tokens first), once for each sample number.

    told        ids that are read before the prompt and are no part of what is said, such as control tokens and a theme
    ends        whether `<EOS>` may be drawn and ends a sample; a stream has none
    controls    how many control tokens the vocabulary has, none of which is drawn
    filters     further ones, applied before those of `config`
    constraint  applied first, so that the config chooses among what is allowed; where it allows one token only, that
                is taken, whatever the model and the filters say
    `<UNK>` is never drawn, for it spells nothing, unless a constraint allows nothing else.
    Raises ConfigError where nothing is left to draw.
    """
    silent = [*([] if ends else [EOS]), UNK, *range(len(SPECIALS), len(SPECIALS) + controls)]
    possible, chosen_by = [never(silent), *filters], filters_of(config)
    forms = [constraint.start() if constraint is not None else None for _ in numbers]
    generators = [generator_of(config.seed, number) for number in numbers]
    state = model.initial_state(len(numbers))
    device = device_of(state)
    said = torch.tensor([list(prompt)] * len(numbers), dtype=torch.int64, device=device).reshape(len(numbers), -1)
    before = torch.tensor([[EOS, *told]] * len(numbers), dtype=torch.int64, device=device)
    read = torch.cat([before.reshape(len(numbers), -1), said], 1)
    if read.shape[1] > 1:
        _, state = model.score(read[:, :-1], read[:, 1:], state)
    last = read[:, -1]
    drawn: list[list[int]] = [[] for _ in numbers]
    ended, totals, forced = [False] * len(numbers), [0.0] * len(numbers), [0.0] * len(numbers)
    alive = list(range(len(numbers)))
    for _ in range(config.max_tokens):
        log_probs, state = model.step(last, state)
        chosen = log_probs
        if constraint is not None:
            allowed = torch.stack([constraint.allowed(forms[row]) for row in alive]).to(device)
            chosen = chosen.masked_fill(~allowed, NEVER)
            for row, left in zip(alive, _mass(log_probs, allowed).tolist(), strict=True):
                forced[row] -= left
        for apply in possible:
            chosen = apply(chosen, said)
        if constraint is not None:
            alone = allowed.sum(-1, keepdim=True) == 1
            if bool(alone.any()):
                chosen = chosen.masked_fill(alone & allowed, 0.0).masked_fill(alone & ~allowed, NEVER)
        # Before the filters of the config, which choose among what there is: greedy would take even the impossible.
        going_on = (chosen.amax(-1) > NEVER).tolist()
        if not all(going_on):
            stuck = alive[going_on.index(False)]
            raise ConfigError(
                f"sample {numbers[stuck]} cannot go on after {len(drawn[stuck])} tokens: none is allowed and possible",
                hint="loosen the constraint or the filters, or use a model that knows more tokens",
            )
        for apply in chosen_by:
            chosen = apply(chosen, said)
        last = draw(chosen, [generators[row] for row in alive])
        spent = log_probs.gather(-1, last[:, None])[:, 0].tolist()
        for row, token, log_prob in zip(alive, last.tolist(), spent, strict=True):
            totals[row] += log_prob
            ended[row] = token == EOS
            if constraint is not None:
                forms[row] = constraint.advance(forms[row], token)
            if not ended[row]:
                drawn[row].append(token)
                if on_token is not None:
                    on_token(numbers[row], token)
        said = torch.cat([said, last[:, None]], 1)
        going = last != EOS
        if not bool(going.all()):
            state, last, said = pick(state, going), last[going], said[going]
            alive = [row for row in alive if not ended[row]]
            if not alive:
                break
    return [Sample(*values) for values in zip(drawn, ended, totals, forced, strict=True)]


def samples(
    model: LanguageModel,
    prompt: Sequence[int],
    count: int,
    config: SamplingConfig,
    *,
    told: Sequence[int] = (),
    ends: bool = True,
    controls: int = 0,
    filters: Sequence[Filter] = (),
    constraint: Constraint | None = None,
    batch_size: int = 64,
) -> Iterator[Sample]:
    """Draw `count` samples, some at a time."""
    for first in range(0, count, batch_size):
        numbers = range(first, min(first + batch_size, count))
        yield from sample(
            model,
            prompt,
            numbers,
            config,
            told=told,
            ends=ends,
            controls=controls,
            filters=filters,
            constraint=constraint,
        )
