"""The loop that trains any model with a gradient: windows, clip, validate, stop, save.

The loss is minus the mean of the model's `score`, unless the model offers `loss`; the loop knows nothing
else about the model. A training that is stopped and resumed gives the same weights, to the last bit on a
CPU, as one that never stopped: weights, optimizer, schedule, random numbers, hidden state and the place in
the text are all part of a checkpoint.
"""

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from charlm import jsonfiles
from charlm.config.training import Precision, TrainingConfig
from charlm.errors import TrainingError
from charlm.models.base import LanguageModel, detach
from charlm.scoring import Score, evaluate_corpus
from charlm.shapes import State
from charlm.text.corpus import Corpus
from charlm.training.batches import Batch, Buckets, Stripes
from charlm.training.devices import ALONE, Ranks, autocast
from charlm.training.journal import Checkpoint, Journal, Measured, Notice, OnEvent, Progress
from charlm.training.learner import FIRST_KINDS, Learner, Surprise, broken
from charlm.training.schedules import Budget, Place, learning_rate

SKIPS, ROLLBACKS = 3, 3  # steps left out in a row, and returns to the last good state, before giving up
# Numbers of a training that stand in a checkpoint as they are.
COUNTS, NUMBERS = ("stale", "skips", "rollbacks", "sum_tokens"), ("sum_nats", "sum_seconds", "norm", "rate", "reserve")
# What a checkpoint must say besides its tensors, as `jsonfiles.misfit` reads it.
FACTS = {
    "place": jsonfiles.shape_of(Place),
    "measured_at": jsonfiles.shape_of(Place),
    "order": {"*": int},
    "parts?": {"*": str},
    "best": (jsonfiles.shape_of(Measured), type(None)),
    **dict.fromkeys(COUNTS, int),
    **dict.fromkeys(NUMBERS, float),
}
NEEDS_LESS = "try a smaller --batch-size or --window, or a smaller model"


@dataclass(frozen=True)
class Texts:
    """What is learned and what is measured. carried: the state goes on from document to document."""

    train: Corpus
    valid: Corpus | None
    carried: bool

    def measure(self, model: LanguageModel) -> Score | None:
        """The Score of the validation text, None where there is none."""
        return None if self.valid is None else evaluate_corpus(model, self.valid, carried=self.carried)


@dataclass(frozen=True)
class Outcome:
    """How a training ended. signal: the one that stopped it early, or None."""

    place: Place
    best: Measured | None
    signal: int | None


class _NotFinite(Exception):
    """Weights, loss or gradient that are no numbers any more; carries the cause."""


def fit(
    model: nn.Module,
    texts: Texts,
    config: TrainingConfig,
    *,
    precision: Precision,
    device: torch.device,
    journal: Journal,
    report: OnEvent,
    ranks: Ranks = ALONE,
) -> Outcome:
    """Train `model`, a LanguageModel and an `nn.Module`, until its budget is used up or a signal comes.

    Goes on from the journal's checkpoint where there is one. The best weights on the validation text, or
    the last ones where there is none, are kept in the journal.
    Raises TrainingError where the text is too short, memory runs out, or the numbers stay non-finite.
    """
    training = _Training(
        model, texts, config, precision=precision, device=device, journal=journal, report=report, ranks=ranks
    )
    try:
        return training.run()
    except _NotFinite as error:
        raise TrainingError(str(error), hint="the starting weights are damaged; begin anew") from error
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingError(
            f"out of memory at step {training.place.step}: {_first_line(error)}", hint=NEEDS_LESS
        ) from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise TrainingError(
            f"out of memory at step {training.place.step}: {_first_line(error)}", hint=NEEDS_LESS
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


class _Training:
    """The state of one training. Everything that changes is either here and in `checkpoint`, or derived."""

    def __init__(
        self,
        model: nn.Module,
        texts: Texts,
        config: TrainingConfig,
        *,
        precision: Precision,
        device: torch.device,
        journal: Journal,
        report: OnEvent,
        ranks: Ranks,
    ) -> None:
        self.learner = Learner.of(model, config, device)
        self.model, self.device, self.precision = self.learner.model, device, precision
        self.texts, self.config, self.journal, self.report = texts, config, journal, report
        self.ranks, self.surprise = ranks, ranks.wrap(Surprise(self.model))
        source = Stripes if texts.carried else Buckets
        self.source = source(
            texts.train, config.batch_size, config.window, config.seed, rank=ranks.rank, ranks=ranks.ranks
        )
        # What decides which batch comes next: a checkpoint's place means nothing without it.
        self.order = {"batch_size": config.batch_size, "window": config.window, "seed": config.seed}
        self.budget = Budget.of(config)
        self.place = Place()
        self.best: Measured | None = None
        self.stale = 0  # validations since the best one
        self.skips = 0  # steps left out in a row
        self.rollbacks = 0
        self.sum_nats, self.sum_tokens, self.sum_seconds = 0.0, 0, 0.0  # since the last validation
        self.norm, self.rate = math.nan, 0.0  # of the last step
        self.measured_at = Place()
        self.reserve = 0.0  # seconds that the last validation took

    # ── the course of a training ────────────────────────────────────────────────────────────────

    def run(self) -> Outcome:
        if not self.restore():
            self.save()  # from now on there is something to return to
        self.clock = time.monotonic() - self.place.seconds
        self.saved_at = time.monotonic()
        signal = None
        while signal is None and not self.is_over:
            try:
                if self.validation_due():  # a signal came between the step and its validation
                    self.validate()
                else:
                    signal = self.epoch()
            except _NotFinite as cause:
                self.roll_back(str(cause))
        if self.best is None:  # stopped before the first validation: what there is can be used all the same
            self.keep(self.measured())
        return Outcome(self.place, self.best, signal)

    def epoch(self) -> int | None:
        """Go through the rest of one epoch; a signal, if one asks to stop."""
        self.model.train()
        steps = 0
        for batch in self.source.batches(self.place.epoch, skip=self.place.in_epoch):
            self.step(batch)
            steps += 1
            if (signal := self.journal.stop_signal()) is not None:
                self.save()
                return signal
            if self.validation_due():
                self.validate()
                if self.is_over:
                    return None
            elif time.monotonic() - self.saved_at > self.config.save_minutes * 60:
                self.save()
        if not steps and not self.place.in_epoch:
            raise TrainingError("the text gives not even one step", hint="give more text, or a smaller --batch-size")
        self.place = replace(self.place, epoch=self.place.epoch + 1, in_epoch=0, done=0.0)
        return None

    @property
    def share(self) -> float:
        return self.budget.share(self.place, self.reserve)

    @property
    def is_over(self) -> bool:
        if self.config.patience is not None and self.stale >= self.config.patience:
            return True
        return self.share >= 1 and not self.validation_due()

    # ── one step ────────────────────────────────────────────────────────────────────────────────

    def step(self, batch: Batch) -> None:
        """Read one window, and move the weights if the numbers are sound."""
        started = time.monotonic()
        self.rate = learning_rate(self.share, self.config) * 0.5**self.rollbacks
        for group in self.learner.optimizer.param_groups:
            group["lr"] = self.rate
        self.learner.optimizer.zero_grad(set_to_none=True)
        before = None if batch.fresh else self.learner.state
        tokens = round(self.ranks.total(batch.tokens))
        share = max(tokens, 1)  # a window of control tokens alone has no target that counts
        with autocast(self.precision, self.device):
            nats, after = self.nats(batch, before)
        # Wrappers average the gradient over the ranks; what is meant is the sum, for each token of all.
        (nats * self.ranks.ranks / share).backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        loss, self.norm = self.ranks.total(float(nats.detach())) / share, float(norm)
        if math.isfinite(loss) and math.isfinite(self.norm):
            self.learner.step()
            self.learner.state, self.skips = detach(after), 0
            self.sum_nats, self.sum_tokens = self.sum_nats + loss * tokens, self.sum_tokens + tokens
        else:
            self.skips += 1
            begin = cast(LanguageModel, self.model).initial_state
            self.learner.state = detach(begin(len(batch.inputs)) if before is None else before)
            cause = f"{'loss' if not math.isfinite(loss) else 'gradient'} is not finite at step {self.place.step + 1}"
            if self.skips > SKIPS:
                raise _NotFinite(cause)
            self.report(Notice(f"{cause}: step left out ({self.skips} of at most {SKIPS} in a row)"))
        now = time.monotonic()
        self.sum_seconds += now - started
        place = self.place
        self.place = Place(place.step + 1, place.epoch, place.in_epoch + 1, batch.done, now - self.clock)
        self.tell(loss)

    def nats(self, batch: Batch, state: State | None) -> tuple[Tensor, State]:
        """Total surprise of the batch's targets that count, and the state after it."""
        inputs, targets = batch.inputs.to(self.device), batch.targets.to(self.device)
        nats, after = self.surprise(inputs, targets, state)
        if batch.mask is not None:
            nats = nats.masked_fill(~batch.mask.to(self.device), 0.0)
        return nats.sum(), after

    def tell(self, loss: float) -> None:
        speed = self.sum_tokens / self.sum_seconds if self.sum_seconds else 0.0
        share = self.share
        left = self.place.seconds * (1 - share) / share if share > 0.001 else None
        self.report(Progress(self.place, share, loss, speed, left))

    # ── measuring ───────────────────────────────────────────────────────────────────────────────

    def validation_due(self) -> bool:
        """Whether the budget has passed one more of its equal parts since the last validation."""
        times = self.config.validations or (math.ceil(self.budget.amount) if self.budget.unit == "epochs" else 8)

        def parts(place: Place) -> int:
            return math.floor(self.budget.share(place, self.reserve) * times + 1e-9)

        return parts(self.place) > parts(self.measured_at)

    def measured(self) -> Measured:
        """What is known now, without looking at the validation text."""
        epoch = self.place.epoch + self.place.done
        return Measured(
            step=self.place.step,
            epoch=round(epoch, 4),
            seconds=round(self.place.seconds, 1),
            learning_rate=self.rate,
            train_nats=self.sum_nats / self.sum_tokens if self.sum_tokens else None,
            tokens_per_second=round(self.sum_tokens / self.sum_seconds) if self.sum_seconds else None,
            gradient_norm=self.norm if math.isfinite(self.norm) else None,
        )

    def validate(self) -> None:
        """Measure, keep the weights if they are the best so far, record, save."""
        measured = self.measured()
        started = time.monotonic()
        self.model.eval()
        with autocast(self.precision, self.device):
            score = self.texts.measure(cast(LanguageModel, self.model))
        self.model.train()
        if score is not None:
            self.reserve = time.monotonic() - started
            nats = score.nats / score.tokens
            if not math.isfinite(nats):
                raise _NotFinite(f"the validation loss is not finite at step {self.place.step}")
            better = self.best is None or self.best.valid_nats is None or nats < self.best.valid_nats
            measured = replace(measured, valid_nats=nats, valid_bits_per_char=score.bits_per_char, is_best=better)
        else:
            measured = replace(measured, is_best=True)
        self.stale = 0 if measured.is_best else self.stale + 1
        if measured.is_best:
            self.keep(measured)
        self.sum_nats, self.sum_tokens, self.sum_seconds = 0.0, 0, 0.0
        self.place = self.measured_at = replace(self.place, seconds=time.monotonic() - self.clock)
        self.journal.record(measured)
        self.save()
        self.report(measured)

    # ── keeping and going back ──────────────────────────────────────────────────────────────────

    def keep(self, measured: Measured) -> None:
        self.journal.keep(self.weights(), measured)
        self.best = measured

    def weights(self) -> dict[str, Tensor]:
        """The weights on the CPU; raises _NotFinite rather than give broken ones."""
        weights = self.learner.weights()
        if (name := broken(weights)) is not None:
            raise _NotFinite(f"the weights {name} are not finite at step {self.place.step}")
        return weights

    def save(self) -> None:
        """Hand the journal everything that `restore` needs."""
        self.weights()
        facts: dict[str, Any] = {
            "place": asdict(self.place),
            "measured_at": asdict(self.measured_at),
            "order": self.order,
            "parts": self.learner.kinds(),
            "best": asdict(self.best) if self.best else None,
            **{name: getattr(self, name) for name in COUNTS + NUMBERS},
        }
        self.journal.save(Checkpoint(self.learner.tensors(), facts))
        self.saved_at = time.monotonic()

    def restore(self) -> bool:
        """Take up the journal's checkpoint; False where there is none, TrainingError where it does not fit."""
        checkpoint = self.journal.restore()
        if checkpoint is None:
            return False
        try:
            self.take_up(checkpoint)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise TrainingError(
                f"the checkpoint does not fit this training: {_first_line(error)}",
                hint="was its configuration edited? restore it, or begin anew from the weights: --init-from",
            ) from error
        return True

    def take_up(self, checkpoint: Checkpoint) -> None:
        if wrong := jsonfiles.misfit(FACTS, checkpoint.facts):
            raise ValueError(wrong)
        if checkpoint.facts["order"] != self.order:
            raise ValueError(f"it reads the text by {checkpoint.facts['order']}, not by {self.order}")
        if not self.learner.take_up(checkpoint.tensors, checkpoint.facts.get("parts", FIRST_KINDS)):
            self.report(Notice("another kind of device than before: dropout draws new random numbers"))
        facts = checkpoint.facts
        self.place, self.measured_at = Place(**facts["place"]), Place(**facts["measured_at"])
        self.best = Measured(**facts["best"]) if facts["best"] else None
        for name in COUNTS + NUMBERS:
            setattr(self, name, facts[name])

    def roll_back(self, cause: str) -> None:
        """Return to the last checkpoint with half the learning rate, a few times; then give up."""
        rollbacks, seconds = self.rollbacks + 1, time.monotonic() - self.clock
        if rollbacks > ROLLBACKS:
            raise TrainingError(
                f"{cause}, and {ROLLBACKS} returns to the last good state with half the learning rate did not help",
                hint="try a lower --learning-rate or --clip, or --precision float32; the best weights so far are kept",
            )
        self.restore()
        self.rollbacks, self.skips = rollbacks, 0
        self.place = replace(self.place, seconds=seconds)
        self.report(Notice(f"{cause}: back to step {self.place.step} with half the learning rate"))
