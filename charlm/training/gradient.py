"""The loop that trains any model with a gradient: windows, clip, validate, stop, save.

The loss is minus the mean of the model's `score`, unless the model offers `loss`; the loop knows nothing
else about the model. A training that is stopped and resumed gives the same weights, to the last bit on a
CPU, as one that never stopped: weights, optimizer, schedule, random numbers, hidden state and the place in
the text are all part of a checkpoint.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from charlm.config.training import TrainingConfig
from charlm.errors import TrainingError
from charlm.models.base import detach
from charlm.shapes import State
from charlm.training.batches import Batch
from charlm.training.crew import Crew
from charlm.training.devices import Machine, autocast, loss_scale
from charlm.training.journal import Journal, Measured, Notice, OnEvent, Progress
from charlm.training.keeping import Keeper, NotFiniteError, first_line
from charlm.training.learner import Beginning, Learner, Surprise
from charlm.training.pacing import Pacing
from charlm.training.schedules import Budget, Place, learning_rate
from charlm.training.standing import Standing
from charlm.training.texts import Texts

SKIPS, ROLLBACKS = 3, 3  # steps left out in a row, and returns to the last good state, before giving up
MEASURING = 0.05  # of a budget of minutes is spent on validations, unless their number was given
NEEDS_LESS = "try a smaller --batch-size or --window, or a smaller model"


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    signal             the one that stopped it early, or None
    tokens_per_second  of its steps since it was begun or resumed; None where there were none
    impatient          whether validations without a better one ended it, with some of its budget left
    """

    place: Place
    best: Measured | None
    signal: int | None
    tokens_per_second: float | None = None
    impatient: bool = False


def fit(
    model: nn.Module,
    texts: Texts,
    config: TrainingConfig,
    *,
    machine: Machine,
    journal: Journal,
    report: OnEvent,
) -> Outcome:
    """Train `model`, a language model or a ClozeNetwork, until its budget is used up or a signal comes.

    Goes on from the journal's checkpoint where there is one. The best weights on the validation text, or
    the last ones where there is none, are kept in the journal.
    Raises TrainingError where the text is too short, memory runs out, or the numbers stay non-finite.
    """
    training = _Training(model, texts, config, machine=machine, journal=journal, report=report)
    try:
        with training.crew:
            return training.run()
    except NotFiniteError as error:
        raise TrainingError(str(error), hint="the starting weights are damaged; begin anew") from error
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingError(
            f"out of memory at step {training.now.place.step}: {first_line(error)}", hint=NEEDS_LESS
        ) from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise TrainingError(
            f"out of memory at step {training.now.place.step}: {first_line(error)}", hint=NEEDS_LESS
        ) from error


class _Training:
    """One training. What changes is in the learner, the feed and its standing, all of which a checkpoint keeps."""

    def __init__(
        self,
        model: nn.Module,
        texts: Texts,
        config: TrainingConfig,
        *,
        machine: Machine,
        journal: Journal,
        report: OnEvent,
    ) -> None:
        self.learner = Learner.of(model, config, machine)
        self.model, self.device, self.precision = self.learner.model, machine.device, machine.precision
        self.loss_scale = loss_scale(machine.precision, machine.device)
        self.texts, self.config, self.journal, self.report = texts, config, journal, report
        self.ranks = ranks = machine.ranks
        # A start that is learned takes no part in windows that go on from the one before.
        partly = ranks.ranks > 1 and any(leaf.requires_grad for leaf in cast(Beginning, model).initial_state(1))
        surprises = [ranks.wrap(Surprise(replica), partly=partly) for replica in self.learner.replicas]
        self.crew = Crew(surprises, [each for each in self.model.parameters() if each.requires_grad], self.read)
        self.feed = texts.feed(config, machine)
        order = {"batch_size": config.batch_size, "window": config.window, "seed": config.seed}
        if config.partial_shuffle:
            order["partial_shuffle"] = 1
        self.budget = Budget.of(config)
        self.now = Standing()
        self.pacing = Pacing(self.now, machine.paced)
        self.keeper = Keeper(self.learner, self.feed, self.now, order, ranks, journal, report)

    # ── the course of a training ────────────────────────────────────────────────────────────────

    def run(self) -> Outcome:
        if not self.keeper.restore():
            self.save()  # from now on there is something to return to
        self.begun = time.monotonic() - self.now.place.seconds
        self.saved_at = self.now.place.seconds
        signal = None
        while signal is None and not self.is_over:
            try:
                if self.validation_due():  # a signal came between the step and its validation
                    self.validate()
                else:
                    signal = self.epoch()
            except NotFiniteError as cause:
                self.roll_back(str(cause))
        if self.now.best is None:  # stopped before the first validation: what there is can be used all the same
            self.keeper.keep(self.now.measured)
        speed = self.now.all_tokens / self.now.all_seconds if self.now.all_seconds else None
        return Outcome(self.now.place, self.now.best, signal, speed, self.is_impatient and self.share < 1)

    def epoch(self) -> int | None:
        """Go through the rest of one epoch; a signal, if one asks to stop."""
        self.model.train()
        steps = 0
        for of_text, batch in self.feed.batches(self.now.place.epoch, self.now.place.in_epoch, lambda: self.share):
            self.step(batch, of_text)
            steps += 1
            if signal := round(self.ranks.largest(self.journal.stop_signal() or 0)):
                self.save()
                return signal
            if self.validation_due():
                self.validate()
                if self.is_over:
                    return None
            elif self.now.place.seconds - self.saved_at > self.config.save_minutes * 60:
                self.save()
        if not steps and not self.now.place.in_epoch:
            raise TrainingError("the text gives not even one step", hint="give more text, or a smaller --batch-size")
        self.now.next_epoch()
        return None

    @property
    def share(self) -> float:
        return self.budget.share(self.now.place, self.now.reserve)

    @property
    def is_impatient(self) -> bool:
        return self.config.patience is not None and self.now.stale >= self.config.patience

    @property
    def is_over(self) -> bool:
        return self.is_impatient or (self.share >= 1 and not self.validation_due())

    # ── one step ────────────────────────────────────────────────────────────────────────────────

    def step(self, batch: Batch, of_text: bool) -> None:
        """Read one window, of the text itself or of other text, and move the weights if the numbers are sound."""
        started, now = time.monotonic(), self.now
        now.rate = learning_rate(self.share, self.config) * 0.5**now.rollbacks
        self.learner.begin_step(self.share, now.rate)
        before = None if batch.fresh else self.learner.state
        tokens = round(self.ranks.total(batch.tokens))
        share = max(tokens, 1)  # a window of control tokens alone has no target that counts
        # Wrappers average the gradient over the ranks; what is meant is the sum, for each token of all.
        scale = self.ranks.ranks / share * self.loss_scale
        nats, after = self.crew.learn(batch, before, scale, alone=self.pacing.alone)
        if self.loss_scale != 1:
            scaled = [each.grad for each in self.model.parameters() if each.grad is not None]
            torch._foreach_mul_(scaled, 1 / self.loss_scale)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        told, now.norm = torch.stack([nats, norm.to(nats)]).tolist()  # both at once: a GPU is waited for here
        loss = self.ranks.total(told) / share
        if math.isfinite(loss) and math.isfinite(now.norm):
            self.learner.step()
            self.learner.state = detach(after)
            now.learned(loss * tokens, tokens, clipped=now.norm > self.config.clip)
        else:
            now.skips += 1
            begin = cast(Beginning, self.model).initial_state
            self.learner.state = detach(begin(len(batch.inputs)) if before is None else before)
            cause = f"{'loss' if not math.isfinite(loss) else 'gradient'} is not finite at step {now.place.step + 1}"
            if now.skips > SKIPS:
                raise NotFiniteError(cause)
            self.report(Notice(f"{cause}: step left out ({now.skips} of at most {SKIPS} in a row)"))
        taken = time.monotonic() - started
        self.pacing.took(tokens, taken)
        now.went_on(tokens, taken, self.seconds(), done=batch.done if of_text else None)
        self.tell(loss)

    def seconds(self) -> float:
        """Time spent so far, as the first rank's clock tells it to all: budgets of minutes and savings hang on it."""
        return self.ranks.of_first(lambda: time.monotonic() - self.begun)

    def read(self, surprise: nn.Module, batch: Batch, state: State | None) -> tuple[Tensor, State]:
        """Total surprise of the batch's targets that count, and the state after it."""
        inputs, targets = batch.inputs.to(self.device), batch.targets.to(self.device)
        with autocast(self.precision, self.device):
            nats, after = surprise(inputs, targets, state)
        if batch.mask is not None:
            nats = nats.masked_fill(~batch.mask.to(self.device), 0.0)
        return nats.sum(), after

    def tell(self, loss: float) -> None:
        share = self.share
        left = self.now.place.seconds * (1 - share) / share if share > 0.001 else None
        self.report(Progress(self.now.place, share, loss, self.now.speed, left))

    # ── measuring ───────────────────────────────────────────────────────────────────────────────

    def validation_due(self) -> bool:
        """Whether the budget has passed one more of its equal parts since the last validation."""
        times = self.config.validations or (math.ceil(self.budget.amount) if self.budget.unit == "epochs" else 8)
        if self.config.validations is None and self.budget.unit == "minutes" and self.now.reserve:
            times = max(1, min(times, math.floor(MEASURING * self.budget.amount * 60 / self.now.reserve)))

        def parts(place: Place) -> int:
            return math.floor(self.budget.share(place, self.now.reserve) * times + 1e-9)

        return parts(self.now.place) > parts(self.now.measured_at)

    def validate(self) -> None:
        """Measure, keep the weights if they are the best so far, record, save."""
        measured = self.now.measured
        started = self.seconds()
        self.model.eval()
        with self.learner.averaged():
            score = self.texts.measure(self.model, len(self.learner.replicas) * self.ranks.ranks, self.side_by_side)
        self.model.train()
        if score is not None:
            self.now.reserve = self.seconds() - started
            nats = score.nats / score.tokens
            if not math.isfinite(nats):
                raise NotFiniteError(f"the validation loss is not finite at step {self.now.place.step}")
            better = self.now.is_better(nats)
            measured = replace(measured, valid_nats=nats, valid_bits_per_char=score.bits_per_char, is_best=better)
        else:
            measured = replace(measured, is_best=True)
        if measured.is_best:
            self.keeper.keep(measured)
        self.now.was_measured(measured, self.seconds())
        self.journal.record(measured)
        self.save()
        self.report(measured)

    def side_by_side(self, task: Callable[[int], Any], numbers: Iterable[int]) -> Iterable[Any]:
        """`map`, by the threads of the crew and by all ranks, in the precision of the training."""

        def at_precision(number: int) -> Any:
            with autocast(self.precision, self.device):
                return task(number)

        numbers, mine = list(numbers), slice(self.ranks.rank, None, self.ranks.ranks)
        parts = self.ranks.gather(list(self.crew.map(at_precision, numbers[mine])))
        return [parts[index % self.ranks.ranks][index // self.ranks.ranks] for index in range(len(numbers))]

    # ── keeping and going back ──────────────────────────────────────────────────────────────────

    def save(self) -> None:
        self.keeper.save()
        self.saved_at = self.now.place.seconds

    def roll_back(self, cause: str) -> None:
        """Return to the last checkpoint with half the learning rate, a few times; then give up."""
        rollbacks, seconds = self.now.rollbacks + 1, self.seconds()
        if rollbacks > ROLLBACKS:
            raise TrainingError(
                f"{cause}, and {ROLLBACKS} returns to the last good state with half the learning rate did not help",
                hint="try a lower --learning-rate or --clip, or --precision float32; the best weights so far are kept",
            )
        self.keeper.restore()
        self.now.rollbacks, self.now.skips = rollbacks, 0
        self.now.place = replace(self.now.place, seconds=seconds)
        self.report(Notice(f"{cause}: back to step {self.now.place.step} with half the learning rate"))
