"""A text measured by networks that learn from it on the way: dynamic evaluation, for `charlm eval --dynamic`."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from charlm import scoring
from charlm.config.evaluation import DynamicConfig
from charlm.errors import ConfigError, TextError
from charlm.jobs.evaluate import Dynamic, Evaluation
from charlm.models.adapting import Adapting, RanAway, adapting, networks_of
from charlm.models.base import LanguageModel
from charlm.models.descents import Descent, ScaledDescent, Squares, Stepping
from charlm.runs.run import Run
from charlm.runs.run import load as load_run
from charlm.scoring import OnTokens, perplexity_of
from charlm.text.files import WHOLE
from charlm.training.searching import descent

# The rate and decay from which the search begins, and the rate and decay where none was tuned.
USUAL = {"sgd": (0.3, 0.01), "rms": (1e-3, 3e-3)}
FACTOR = 2.5  # between two rates, or decays, that are tried: near the best ones the figure hardly changes
GAIN = 1e-3  # nats a token that the next rate or decay must bring: one of no use gains a little by getting smaller
TUNED_TOKENS = 10_000  # of the text of --tune, since every rate that is tried reads them all


@dataclass(frozen=True)
class Adaptation:
    """How the networks of a run shall adapt.

    tune  the text on which rate and decay are found where they were not given, and of which the scaled way learns what
          gradients are like; None where there is none. The scaled way takes its first half for this and the other
          for rate and decay: scales fit their own text, where rates look best that are too large for another
    """

    config: DynamicConfig
    tune: Evaluation | None = None

    def __post_init__(self) -> None:
        if self.config.dynamic == "rms" and self.tune is None:
            raise ConfigError(
                "--dynamic rms needs to know what the gradients are like, from a text that is not measured",
                hint="give a validation text with --tune, or take --dynamic sgd",
            )

    def measure(self, path: Path, job: Evaluation, device: str, *, report: OnTokens | None = None) -> Dynamic:
        """The dynamic figures of a text.

        Raises ConfigError for a run that only counts, for a shard, and where the weights run away.
        """
        run = load_run(path, device)
        config, model = self.fitted(run, job)
        score = scoring.evaluate(
            model, run.codec, job.documents(run), carried=job.carried(run), in_order=True, report=report
        )
        if math.isnan(score.nats):
            raise RanAway("dynamic evaluation ran away: a probability is no number", hint="a smaller --rate")
        found = self.config.rate is None or self.config.decay is None
        return Dynamic(score, config, self.tune.source if self.tune is not None and found else None)

    def tokens(self, path: Path, job: Evaluation, device: str) -> Iterator[dict[str, Any]]:
        """A record for each token, as `Evaluation.tokens` gives them, with its dynamic_log_prob (nats)."""
        run = load_run(path, device)
        _, model = self.fitted(run, job)
        yield from job.records(run, model, "dynamic_log_prob", in_order=True)

    def fitted(self, run: Run, job: Evaluation) -> tuple[DynamicConfig, LanguageModel]:
        """The config with the rate and decay that are used, and the run's model as it adapts."""
        if job.shard != WHOLE:
            raise ConfigError(
                "--dynamic does not go with --shard: what is learned hangs on all text before, so shards do not add",
                hint="measure the whole text by one process",
            )
        if not networks_of(run.model):
            raise ConfigError(
                f"{run.path} only counts: it has no weights that a gradient could move, so nothing of it is dynamic",
                hint="leave --dynamic out, or mix it with a network: charlm run mix",
            )
        roots: Sequence[Sequence[Tensor]] = ()
        config = self.config
        if self.tune is not None:
            ids = self._tuning_ids(run, self.tune)
            if config.dynamic == "rms":
                squared, ids = _halves(ids)
                roots = self._roots(run, job, squared)
            config = self._tuned(run, job, ids, roots)
        rate, decay = USUAL[config.dynamic or "sgd"]
        config = replace(config, rate=config.rate or rate, decay=decay if config.decay is None else config.decay)
        return config, self._model(run, config, roots)

    def _tuning_ids(self, run: Run, tune: Evaluation) -> list[list[int]]:
        """The documents of the text that is tuned on, until they are TUNED_TOKENS for each half that is needed."""
        ids: list[list[int]] = []
        tokens = 0
        halves = 2 if self.config.dynamic == "rms" else 1
        enough = TUNED_TOKENS * halves
        for document in tune.documents(run):
            ids.append(run.codec.encode(document).ids[: enough - tokens])
            tokens += len(ids[-1])
            if tokens >= enough:
                break
        if tokens // halves <= self.config.segment:
            raise TextError(
                f"{tune.source} has {tokens:,} tokens, too few to tune on", hint="give a longer validation text"
            )
        return ids

    def _model(self, run: Run, config: DynamicConfig, roots: Sequence[Sequence[Tensor]]) -> LanguageModel:
        rate, decay = config.rate or 0.0, config.decay or 0.0
        of_each = iter(roots)

        def make(network: nn.Module) -> Adapting:
            way: Stepping = ScaledDescent(rate, decay, next(of_each)) if roots else Descent(rate, decay)
            return Adapting(network, way, segment=config.segment, controls=len(run.codec.vocab.control_ids))

        return adapting(run.model, make)

    def _roots(self, run: Run, job: Evaluation, ids: list[list[int]]) -> list[list[Tensor]]:
        """What the gradients of each network are like on a text that moves nothing."""
        kept: list[Squares] = []

        def make(network: nn.Module) -> Adapting:
            kept.append(Squares())
            return Adapting(network, kept[-1], segment=self.config.segment)

        _nats(adapting(run.model, make), ids, job.carried(run))
        return [squares.roots() for squares in kept]

    def _tuned(
        self, run: Run, job: Evaluation, ids: list[list[int]], roots: Sequence[Sequence[Tensor]]
    ) -> DynamicConfig:
        """The rate, and then the decay, that are best on a text, as far as they were not given."""
        config, carried = self.config, job.carried(run)

        def nats(rate: float, decay: float) -> float:
            try:
                found = _nats(self._model(run, replace(config, rate=rate, decay=decay), roots), ids, carried)
            except RanAway:
                found = math.inf
            job.note(f"{run.path}: rate {rate:.3g}, decay {decay:.3g}: perplexity {perplexity_of(found):,.2f}")
            return found

        usual = USUAL[config.dynamic or "sgd"]
        start = tuple(
            own if own is not None else other for own, other in zip((config.rate, config.decay), usual, strict=True)
        )
        factors = tuple(1.0 if own is not None else FACTOR for own in (config.rate, config.decay))
        (rate, decay), best = descent(lambda place: nats(*place), start, factors, gain=GAIN)
        if math.isinf(best):
            raise RanAway(
                f"{run.path}: no rate that was tried predicts {self.tune.source if self.tune else 'it'} at all",
                hint="is the text of the kind that the run has learned?",
            )
        return replace(config, rate=rate, decay=decay)


def _halves(ids: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Documents in two parts of as many tokens, in order; a document that lies across the middle is cut there."""
    first: list[list[int]] = []
    second: list[list[int]] = []
    room = sum(map(len, ids)) // 2
    for document in ids:
        first.append(document[:room])
        second.append(document[room:])
        room = max(0, room - len(document))
    return [each for each in first if each], [each for each in second if each]


def _nats(model: LanguageModel, ids: list[list[int]], carried: bool) -> float:
    """Per token of some documents, in order; infinite where one is no number."""
    read = scoring.log_probs_of_stream if carried else scoring.log_probs_in_order
    nats = -float(np.concatenate(list(read(model, ids))).mean())
    return math.inf if math.isnan(nats) else nats
