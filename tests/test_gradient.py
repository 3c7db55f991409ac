import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
import torch
from small import corpus_of, recurrent, sentences

from charlm.config.models import MODELS
from charlm.config.networks import CELLS, RecurrentConfig
from charlm.config.training import TrainingConfig
from charlm.errors import TrainingError
from charlm.models import delays
from charlm.models.recurrent import Recurrent
from charlm.scoring import Score
from charlm.training import gradient, learner
from charlm.training.batches import Buckets, Stripes
from charlm.training.devices import Machine
from charlm.training.gradient import Outcome, fit
from charlm.training.journal import Measured, MemoryJournal, Notice, Progress
from charlm.training.ranks import ALONE, Ranks
from charlm.training.texts import Texts

TRAIN, VALID = corpus_of(sentences(40)), corpus_of(sentences(8, seed=1))
READINGS = {"stripes": Texts(TRAIN, VALID, True), "buckets": Texts(TRAIN, VALID, False)}
KNOBS = {"batch_size": 4, "window": 16, "learning_rate": 0.01, "device": "cpu", "precision": "float32", "seed": 3}
TIMES = {"seconds", "tokens_per_second", "sum_seconds", "reserve"}  # differ from run to run


@pytest.fixture(params=READINGS)
def texts(request):
    return READINGS[request.param]


def network(**knobs) -> Recurrent:
    return recurrent(12, dtype=torch.float32, **{"dropout": 0.3, "learned_start": True, **knobs})


@dataclass
class Watched(MemoryJournal):
    """A journal that refuses broken numbers, knows what was kept, and stops the training after some step."""

    stop_after: int | None = None
    kept: list[int] = field(default_factory=list)
    saved: list[int] = field(default_factory=list)
    asked: int = 0

    def save(self, checkpoint):
        assert all(torch.isfinite(tensor).all() for tensor in checkpoint.tensors.values())
        self.saved.append(checkpoint.facts["place"]["step"])
        super().save(checkpoint)

    def keep(self, weights, measured):
        assert all(torch.isfinite(tensor).all() for tensor in weights.values())
        self.kept.append(measured.step)
        super().keep(weights, measured)

    def stop_signal(self):
        self.asked += 1
        return 15 if self.asked == self.stop_after else None


class Killed(Exception):
    """What a power cut does."""


class Dying(Watched):
    """Ends the training where another journal would ask it to stop."""

    def stop_signal(self):
        if super().stop_signal() is not None:
            raise Killed


@dataclass
class Ended:
    outcome: Outcome
    model: torch.nn.Module
    journal: Watched
    events: list

    @property
    def notices(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Notice)]


def train(texts, *, model=None, journal=None, stop_after=None, workers=1, **knobs) -> Ended:
    """Train, or go on where the journal has a checkpoint."""
    model = network() if model is None else model
    journal = Watched() if journal is None else journal
    journal.stop_after, journal.asked = stop_after, 0
    events: list = []
    outcome = fit(
        model,
        texts,
        TrainingConfig(**{**KNOBS, **knobs}),
        machine=Machine(torch.device("cpu"), "float32", workers),
        journal=journal,
        report=events.append,
    )
    return Ended(outcome, model, journal, events)


# ── resuming ────────────────────────────────────────────────────────────────────────────────────


def timeless(value):
    """Facts without what a clock says."""
    if isinstance(value, dict):
        return {name: timeless(inner) for name, inner in value.items() if name not in TIMES}
    return {name: v for name, v in vars(value).items() if name not in TIMES} if isinstance(value, Measured) else value


def assert_same_training(some: Watched, other: Watched) -> None:
    """To the last bit: weights, optimizer, state, random numbers, counters, history."""
    for mine, theirs in ((some.checkpoint.tensors, other.checkpoint.tensors), (some.weights, other.weights)):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
    assert timeless(some.checkpoint.facts) == timeless(other.checkpoint.facts)
    assert list(map(timeless, some.history)) == list(map(timeless, other.history))


BUDGETS = [{"steps": 13, "validations": 3}, {"epochs": 2.5}]


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_a_training_stopped_after_any_step_goes_on_as_if_it_never_had(texts, budget):
    whole = train(texts, **budget)
    steps = whole.outcome.place.step
    assert steps >= 10 and whole.outcome.place.epoch > 0
    for stop in range(1, steps + 1):
        first = train(texts, stop_after=stop, **budget)
        assert (first.outcome.signal, first.outcome.place.step) == (15, stop)
        second = train(texts, model=network(seed=8), journal=first.journal, **budget)
        assert second.outcome.signal is None
        assert_same_training(second.journal, whole.journal)


def test_a_training_stopped_after_every_step_goes_on_as_if_it_never_had(texts):
    whole = train(texts, **BUDGETS[0])
    journal = Watched()
    for _ in range(13):
        assert train(texts, journal=journal, stop_after=1, **BUDGETS[0]).outcome.signal == 15
    train(texts, journal=journal, **BUDGETS[0])
    assert_same_training(journal, whole.journal)


def test_a_training_killed_without_warning_goes_on_from_its_last_checkpoint(texts):
    whole = train(texts, **BUDGETS[0])
    for stop in (2, 5, 9, 11):
        journal = Dying()
        with pytest.raises(Killed):
            train(texts, journal=journal, stop_after=stop, **BUDGETS[0])
        survived = Watched(checkpoint=journal.checkpoint, weights=journal.weights, history=journal.history)
        train(texts, journal=survived, **BUDGETS[0])
        assert_same_training(survived, whole.journal)


def test_the_same_seed_gives_the_same_training_and_another_one_does_not(texts):
    some, same, other = (train(texts, steps=5, seed=seed).journal for seed in (1, 1, 2))
    assert_same_training(some, same)
    assert any(not torch.equal(tensor, other.weights[name]) for name, tensor in some.weights.items())


def test_a_training_that_is_over_can_be_given_more(texts):
    journal = train(texts, steps=8).journal
    assert [entry.step for entry in journal.history] == list(range(1, 9))
    ended = train(texts, journal=journal, steps=16)
    assert ended.outcome.place.step == 16
    assert [entry.step for entry in journal.history] == [*range(1, 9), 10, 12, 14, 16]


def test_a_checkpoint_is_not_changed_by_going_on_from_it(texts):
    class Forgetful(Watched):
        def save(self, checkpoint):
            pass

    checkpoint = train(texts, steps=6, stop_after=3).journal.checkpoint
    kept = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    train(texts, journal=Forgetful(checkpoint=checkpoint), steps=6)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in checkpoint.tensors.items())


def test_a_training_that_is_over_does_nothing_more(texts):
    journal = train(texts, steps=4).journal
    before = journal.checkpoint
    assert train(texts, journal=journal, steps=4).outcome.place.step == 4
    assert journal.checkpoint is before


@pytest.mark.parametrize("change", [{"batch_size": 5}, {"window": 8}, {"seed": 4}], ids=str)
def test_a_checkpoint_is_refused_where_the_text_would_be_read_in_another_order(texts, change):
    journal = train(texts, steps=2).journal
    with pytest.raises(TrainingError, match="does not fit this training"):
        train(texts, journal=journal, steps=4, **change)


def test_a_checkpoint_of_another_network_is_refused(texts):
    journal = train(texts, steps=2).journal
    for other in (network(hidden=6), network(cell="gru"), network(layers=1)):
        with pytest.raises(TrainingError, match="does not fit this training"):
            train(texts, model=other, journal=journal, steps=4)


# ── numbers that are none ───────────────────────────────────────────────────────────────────────


class Faulty(Recurrent):
    """A network that goes wrong at some calls, counted from 1."""

    def __init__(self, *, loss=(), gradient=(), weights=(), validation=()) -> None:
        super().__init__(RecurrentConfig(layers=1, hidden=5, embedding=4, tied=False, dropout=0.2), 13)
        self.faults = {"loss": set(loss), "gradient": set(gradient), "weights": set(weights)}
        self.validation = set(validation)
        self.calls = self.measured = 0

    def forward(self, inputs, targets, state):
        self.calls += 1
        log_probs, after = super().score(inputs, targets, state)
        if self.calls in self.faults["loss"]:
            return log_probs * torch.nan, tuple(leaf * torch.nan for leaf in after)
        if self.calls in self.faults["gradient"]:
            return log_probs + (self.bias * 0).sum().sqrt(), after  # the root's slope at 0 is infinite
        if self.calls in self.faults["weights"]:
            with torch.no_grad():
                self.embedding.weight[12] = torch.inf  # never read, so no loss tells
        return log_probs, after

    def score(self, inputs, targets, state):
        self.measured += 1
        log_probs, after = super().score(inputs, targets, state)
        return log_probs * (torch.nan if self.measured in self.validation else 1), after


def faulty(**faults) -> Faulty:
    torch.manual_seed(1)
    return Faulty(**faults)


@pytest.mark.parametrize("fault", ["loss", "gradient"])
def test_a_step_that_is_not_finite_is_left_out(texts, fault):
    ended = train(texts, model=faulty(**{fault: [3, 4, 5, 8]}), steps=10)
    assert ended.notices == [
        f"{fault} is not finite at step {step}: step left out ({row} of at most 3 in a row)"
        for step, row in [(3, 1), (4, 2), (5, 3), (8, 1)]
    ]
    assert ended.outcome.place.step == 10
    assert all(torch.isfinite(parameter).all() for parameter in ended.model.parameters())


def test_a_step_left_out_moves_nothing(texts):
    model = faulty(loss=[1, 2])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train(texts, model=model, steps=2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_fourth_step_in_a_row_brings_the_last_good_state_back(texts):
    ended = train(texts, model=faulty(loss=range(7, 11)), steps=12, validations=3, warmup=0, final_rate=0.5)
    assert ended.notices[3] == "loss is not finite at step 10: back to step 8 with half the learning rate"
    assert [round(event.learning_rate, 6) for event in ended.journal.history] == [
        round(gradient.learning_rate(share, TrainingConfig(**KNOBS, warmup=0, final_rate=0.5)) * half, 6)
        for share, half in [(3 / 12, 1), (7 / 12, 1), (11 / 12, 0.5)]
    ]


def test_what_comes_back_is_the_whole_state(texts):
    """Weights, averages of the optimizer and random numbers: the same as going on from that checkpoint."""
    knobs = {"steps": 12, "validations": 3}
    fallen = train(texts, model=faulty(loss=range(7, 11)), **knobs)
    stopped = train(texts, model=faulty(loss=[7, 8]), stop_after=8, **knobs).journal
    journal = Watched(checkpoint=replace(stopped.checkpoint, facts=fallen_facts(stopped)), history=stopped.history)
    train(texts, model=faulty(), journal=journal, **knobs)
    assert fallen.notices[-1].endswith("back to step 8 with half the learning rate")
    for name, tensor in journal.weights.items():
        assert torch.equal(tensor, fallen.journal.weights[name]), name


def fallen_facts(journal):
    measured_at = {**journal.checkpoint.facts["place"]}
    return {**journal.checkpoint.facts, "rollbacks": 1, "skips": 0, "measured_at": measured_at}


def test_a_training_that_stays_broken_ends_and_names_the_step(texts):
    model = faulty(loss=range(1, 1000))
    journal = Watched()
    with pytest.raises(TrainingError, match=r"loss is not finite at step 4, and 3 returns") as caught:
        train(texts, model=model, journal=journal, steps=50)
    assert "--learning-rate" in caught.value.hint
    assert model.calls == 4 * 4
    assert set(journal.saved) == {0} and journal.weights is None


def test_broken_weights_are_never_kept_or_saved(texts):
    ended = train(texts, model=faulty(weights=[6]), steps=12, validations=3)  # Watched looks at all it is given
    (notice,) = ended.notices
    assert notice == "the weights embedding.weight are not finite at step 8: back to step 4 with half the learning rate"
    assert ended.journal.kept and ended.outcome.place.step == 12


def test_broken_weights_to_begin_with_are_refused(texts):
    model = faulty()
    torch.nn.init.constant_(model.bias, torch.nan)
    with pytest.raises(TrainingError, match="bias are not finite") as caught:
        train(texts, model=model, steps=2)
    assert caught.value.hint


def test_a_validation_that_is_not_finite_brings_the_last_good_state_back(texts):
    ended = train(texts, model=faulty(validation=[2]), steps=12, validations=3)
    assert ended.notices == ["the validation loss is not finite at step 8: back to step 4 with half the learning rate"]
    assert len(ended.journal.history) == 3


# ── measuring, keeping, stopping ────────────────────────────────────────────────────────────────


@pytest.fixture
def scripted(monkeypatch):
    """Let the validations find these nats per token, one after the other."""

    def script(*nats):
        found = iter(nats)
        monkeypatch.setattr(Texts, "measure", lambda *_, **__: Score(nats=next(found), tokens=1, characters=1))

    return script


def test_the_best_weights_on_the_validation_text_are_kept(texts, scripted):
    scripted(3, 2, 4, 2, 5)
    ended = train(texts, steps=10, validations=5)
    assert ended.journal.kept == [2, 4]
    assert (ended.outcome.best.step, ended.outcome.best.valid_nats) == (4, 2)
    assert [entry.is_best for entry in ended.journal.history] == [True, True, False, False, False]
    scripted(3)
    early = train(texts, steps=10, validations=5, stop_after=4)
    assert all(torch.equal(tensor, ended.journal.weights[name]) for name, tensor in early.model.state_dict().items())


def test_patience_ends_a_training_that_gets_no_better(texts, scripted):
    scripted(3, 2, 4, 1, 5, 6)
    assert train(texts, steps=100, validations=50, patience=2).outcome.place.step == 12
    scripted(3, 4, 5)
    assert train(texts, steps=100, validations=50, patience=2).outcome.place.step == 6


def test_without_a_validation_text_the_last_weights_are_kept(texts):
    ended = train(replace(texts, valid=None), steps=9, validations=2)
    assert ended.journal.kept == [5, 9]
    assert ended.outcome.best.valid_nats is None
    assert all(torch.equal(tensor, ended.journal.weights[name]) for name, tensor in ended.model.state_dict().items())


def test_a_training_stopped_before_its_first_validation_can_be_used_all_the_same(texts):
    ended = train(texts, steps=100, validations=1, stop_after=2)
    assert ended.journal.kept == [2] and ended.journal.history == []
    again = train(texts, journal=ended.journal, steps=100, validations=1, stop_after=1)
    assert again.journal.kept == [2, 3] and again.outcome.best.valid_nats is None


@pytest.mark.parametrize(
    ("budget", "steps"),
    [
        ({"steps": 16}, range(2, 17, 2)),
        ({"steps": 3}, [1, 2, 3]),
        ({"steps": 10, "validations": 3}, [4, 7, 10]),
        ({"steps": 2, "validations": 5}, [1, 2]),
    ],
    ids=str,
)
def test_validations_divide_the_budget_evenly(texts, budget, steps):
    assert [entry.step for entry in train(texts, **budget).journal.history] == list(steps)


def test_a_budget_of_epochs_is_measured_after_each(texts):
    source = (Stripes if texts.carried else Buckets)(TRAIN, 4, 16, 3)
    sizes = [len(list(source.batches(epoch))) for epoch in range(3)]
    ended = train(texts, epochs=3)
    assert [entry.step for entry in ended.journal.history] == list(itertools.accumulate(sizes))
    assert [entry.epoch for entry in ended.journal.history] == [1, 2, 3]


def test_a_budget_of_minutes_follows_the_clock(texts, monkeypatch):
    seconds = itertools.count()
    monkeypatch.setattr(gradient, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    ended = train(texts, minutes=2, validations=2)
    assert 120 <= ended.outcome.place.seconds <= 130
    assert len(ended.journal.history) == 2
    shares = [event.share for event in ended.events if isinstance(event, Progress)]
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_everything_is_saved_now_and_then(texts):
    assert train(texts, steps=4, validations=1).journal.saved == [0, 4]
    assert train(texts, steps=4, validations=1, save_minutes=1e-9).journal.saved == [0, 1, 2, 3, 4]


def test_every_step_is_told(texts):
    told = [event for event in train(texts, steps=6).events if isinstance(event, Progress)]
    assert [event.place.step for event in told] == [1, 2, 3, 4, 5, 6]
    assert told[2].share == 0.5 and told[-1].share == 1.0
    assert all(event.tokens_per_second > 0 for event in told)


# ── parts of a learner ──────────────────────────────────────────────────────────────────────────


class Averages:
    """The mean of the weights over all steps."""

    kind = "mean"

    def __init__(self, model):
        self.model, self.means, self.steps = model, [p.detach().clone() for p in model.parameters()], torch.zeros(1)

    def at(self, share, rate):
        """Neither matters here."""

    def step(self):
        self.steps += 1
        for mean, parameter in zip(self.means, self.model.parameters(), strict=True):
            mean += (parameter.detach() - mean) / self.steps

    def tensors(self):
        return {"steps": self.steps, **{str(index): mean for index, mean in enumerate(self.means)}}

    def take_up(self, tensors):
        self.steps = tensors["steps"].clone()
        self.means = [tensors[str(index)].clone() for index in range(len(self.means))]


@pytest.fixture
def averaging(monkeypatch):
    """Learners keep averages of their weights."""
    begin = learner.Learner.of

    def of(model, config, machine):
        made = begin(model, config, machine)
        made.others["averages"] = Averages(made.model)
        return made

    monkeypatch.setattr(learner.Learner, "of", of)


def test_averages_are_a_part_that_a_checkpoint_names_and_a_resume_takes_up(averaging, texts):
    whole = train(texts, steps=7, validations=2)
    assert whole.journal.checkpoint.facts["parts"] == {"optimizer": "AdamW", "averages": "mean"}
    assert whole.journal.checkpoint.tensors["averages/steps"] == 7
    first = train(texts, steps=7, validations=2, stop_after=3)
    second = train(texts, model=network(seed=8), journal=first.journal, steps=7, validations=2)
    assert_same_training(second.journal, whole.journal)


def test_a_checkpoint_of_other_parts_is_not_taken_for_ones_own(texts, monkeypatch):
    plain = train(texts, steps=7, stop_after=3).journal
    make = torch.optim.SGD
    monkeypatch.setattr(learner, "make_optimizer", lambda model, *_: make(model.parameters(), lr=0.1))
    with pytest.raises(TrainingError, match=r"keeps optimizer \(AdamW\), this training optimizer \(SGD\)"):
        train(texts, model=network(), journal=plain, steps=7)
    assert train(texts, steps=7).outcome.place.step == 7  # another optimizer needs nothing but its name


def test_a_checkpoint_made_before_parts_had_names_goes_on_to_the_last_bit(texts):
    whole = train(texts, steps=7, validations=2)
    first = train(texts, steps=7, validations=2, stop_after=3)
    facts = {name: value for name, value in first.journal.checkpoint.facts.items() if name != "parts"}
    first.journal.checkpoint = replace(first.journal.checkpoint, facts=facts)
    second = train(texts, model=network(seed=8), journal=first.journal, steps=7, validations=2)
    assert_same_training(second.journal, whole.journal)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("place", {"step": "3"}, "step"), ("best", [], "best"), ("stale", 1.5, "stale"), ("norm", None, "norm")],
)
def test_a_checkpoint_whose_values_are_of_another_kind_is_refused_by_name(texts, name, value, said):
    journal = train(texts, steps=7, validations=2, stop_after=4).journal
    facts = journal.checkpoint.facts
    changed = {**facts[name], **value} if isinstance(value, dict) else value
    journal.checkpoint = replace(journal.checkpoint, facts={**facts, name: changed})
    with pytest.raises(TrainingError, match=f"does not fit this training: .*{said}"):
        train(texts, model=network(), journal=journal, steps=7)


# ── several threads ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("workers", [2, 3])
def test_a_training_by_several_threads_goes_on_after_any_step_as_if_it_had_not_stopped(texts, workers):
    whole = train(texts, workers=workers, **BUDGETS[0])
    assert_same_training(train(texts, workers=workers, **BUDGETS[0]).journal, whole.journal)
    for stop in (1, 5, 12):
        first = train(texts, workers=workers, stop_after=stop, **BUDGETS[0])
        second = train(texts, model=network(seed=8), workers=workers, journal=first.journal, **BUDGETS[0])
        assert_same_training(second.journal, whole.journal)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_loss_made_larger_for_half_precisions_sake_changes_no_bit_of_the_training(texts, workers, monkeypatch):
    plain = train(texts, steps=6, workers=workers)
    seen = []
    monkeypatch.setattr("charlm.training.gradient.loss_scale", lambda *machine: seen.append(machine) or 1024.0)
    assert_same_training(train(texts, steps=6, workers=workers).journal, plain.journal)
    assert seen


def test_a_training_by_samples_of_the_vocabulary_goes_on_as_if_it_had_not_stopped(texts, monkeypatch):
    monkeypatch.setattr("charlm.models.network.SMALLEST_SAMPLED", 12)

    def begun():
        return network(sampled=0.3)

    whole = train(texts, model=begun(), workers=2, **BUDGETS[0])
    exact = train(texts, model=network(), workers=2, **BUDGETS[0])
    assert whole.journal.history[0].train_nats != exact.journal.history[0].train_nats
    for stop in (1, 6, 11, 12):  # the last before and the first after the end of sampling among them
        first = train(texts, model=begun(), workers=2, stop_after=stop, **BUDGETS[0])
        second = train(texts, model=begun(), workers=2, journal=first.journal, **BUDGETS[0])
        assert_same_training(second.journal, whole.journal)


NETWORKS = {
    **{cell: lambda seed, cell=cell: network(cell=cell, seed=seed) for cell in CELLS},
    "peepholes": lambda seed: network(cell="lstm-coupled", peepholes="fo", full_peepholes=True, seed=seed),
    **{name: lambda seed, name=name: delayed(name, seed) for name in ("jordan", "narx", "window")},
}


def delayed(name, seed):
    torch.manual_seed(seed)
    page = MODELS[name].page(layers=2, hidden=5, embedding=4, dropout=0.3)
    return getattr(delays, name.title())(page, 12)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_goes_on_as_if_it_had_not_stopped(texts, name):
    knobs = {"workers": 2, "steps": 9, "validations": 3}
    whole = train(texts, model=NETWORKS[name](1), **knobs)
    first = train(texts, model=NETWORKS[name](1), stop_after=5, **knobs)
    second = train(texts, model=NETWORKS[name](2), journal=first.journal, **knobs)
    assert_same_training(second.journal, whole.journal)


def test_several_threads_learn_what_one_learns(texts):
    one = train(texts, model=network(dropout=0.0), steps=9, validations=3)
    for workers in (2, 3, 50):  # 50: more than there are rows
        some = train(texts, model=network(dropout=0.0), workers=workers, steps=9, validations=3)
        for name, weight in one.journal.weights.items():
            torch.testing.assert_close(some.journal.weights[name], weight, rtol=1e-4, atol=1e-5)
        for mine, theirs in zip(some.journal.history, one.journal.history, strict=True):
            assert mine.valid_nats == pytest.approx(theirs.valid_nats, rel=1e-5)


def test_threads_draw_random_numbers_of_their_own(texts):
    """With one generator for all, which thread drew first would decide."""
    drawn = train(texts, workers=3, steps=2).journal.checkpoint.tensors
    states = [drawn[name] for name in ("generator", "generator/1", "generator/2")]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(states, 2))


def test_a_checkpoint_of_another_number_of_threads_is_refused(texts):
    for workers, others in ((2, 1), (1, 2), (2, 3)):
        first = train(texts, workers=workers, stop_after=2, steps=4)
        with pytest.raises(TrainingError, match=f"{workers} threads"):
            train(texts, workers=others, journal=first.journal, steps=4)


def test_a_training_leaves_torch_as_many_threads_as_it_had(texts, monkeypatch):
    before = torch.get_num_threads()
    train(texts, workers=2, steps=2)
    assert torch.get_num_threads() == before
    monkeypatch.setattr(gradient._Training, "step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(texts, workers=2, steps=2)
    assert torch.get_num_threads() == before


# ── several processes ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Threads(Ranks):
    """Ranks that are threads, and add up as processes would; gradients are compared by the test."""

    barrier: threading.Barrier | None = None
    numbers: dict[int, float] = field(default_factory=dict)

    def total(self, number):
        self.numbers[self.rank] = number
        self.barrier.wait(timeout=60)
        found = sum(self.numbers.values())
        self.barrier.wait(timeout=60)
        return found


def first_gradient(texts, model, ranks) -> tuple[list[torch.Tensor], float]:
    events: list = []
    config = TrainingConfig(**{**KNOBS, "steps": 1, "clip": 1e9})
    machine = Machine(torch.device("cpu"), "float32", ranks=ranks)
    fit(model, replace(texts, valid=None), config, machine=machine, journal=Watched(), report=events.append)
    (told,) = [event for event in events if isinstance(event, Progress)]
    return [parameter.grad for parameter in model.parameters()], told.loss


def test_the_mean_of_the_ranks_gradients_is_the_gradient_of_the_whole_batch(texts):
    expected, loss = first_gradient(texts, network(dropout=0.0), ALONE)
    models = [network(dropout=0.0) for _ in range(3)]  # not in the threads, which share torch's random numbers
    barrier, numbers = threading.Barrier(3), {}
    with ThreadPoolExecutor(3) as pool:
        each = [Threads(rank, 3, barrier, numbers) for rank in range(3)]
        shares = pool.map(lambda rank: first_gradient(texts, models[rank], each[rank]), range(3))
        gradients, losses = zip(*shares, strict=True)
    assert losses == pytest.approx([loss] * 3, rel=1e-5)
    for whole, *parts in zip(expected, *gradients, strict=True):
        torch.testing.assert_close(sum(parts) / 3, whole, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("own_loss", [False, True])
def test_while_it_learns_the_model_is_reached_through_its_wrapper_alone(texts, own_loss):
    """What several processes share is made in the wrapper's calls: loss, score and a learned start."""
    inside, calls = [False], []

    class Wrapper(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, *arguments):
            inside[0] = True
            found = self.module(*arguments)
            inside[0] = False
            return found

    class Wrapping(Ranks):
        def wrap(self, module, *, partly=False):
            assert not partly
            return Wrapper(module)

    class Guarded(Recurrent):
        def initial_state(self, batch_size):
            assert inside[0]
            return super().initial_state(batch_size)

        def score(self, inputs, targets, state):
            assert inside[0]
            calls.append("score")
            return super().score(inputs, targets, state)

    class Own(Guarded):
        def loss(self, inputs, targets, state):
            calls.append("loss")
            log_probs, after = self.score(inputs, targets, state)
            return -log_probs, after

    model = (Own if own_loss else Guarded)(RecurrentConfig(layers=1, hidden=5, embedding=4, learned_start=True), 12)
    machine = Machine(torch.device("cpu"), "float32", ranks=Wrapping())
    where = {"machine": machine, "journal": Watched(), "report": lambda event: None}
    fit(model, replace(texts, valid=None), TrainingConfig(**{**KNOBS, "steps": 3}), **where)
    assert calls == (["loss", "score"] * 3 if own_loss else ["score"] * 3)


# ── learning ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("carried", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn-tanh"])
def test_a_text_that_repeats_itself_is_learned(cell, carried):
    corpus = corpus_of([[2, 3, 4, 5, 0]] * 60)
    model = network(cell=cell, layers=1, hidden=16, embedding=8, dropout=0.0)
    ended = train(Texts(corpus, corpus, carried), model=model, steps=60, learning_rate=0.05, window=10, validations=4)
    nats = [entry.valid_nats for entry in ended.journal.history]
    assert nats[0] > nats[-1] and nats[-1] < 0.05


def test_the_start_is_learned_and_so_is_everything_else(texts):
    model = network(dropout=0.0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ended = train(texts, model=model, steps=3)
    assert all(not torch.equal(tensor, before[name]) for name, tensor in ended.model.state_dict().items())


def test_a_models_own_loss_takes_the_place_of_its_score(texts):
    class Own(Recurrent):
        asked = 0

        def loss(self, inputs, targets, state):
            self.asked += 1
            log_probs, after = self.score(inputs, targets, state)
            return -2 * log_probs, after

    torch.manual_seed(1)
    model = Own(RecurrentConfig(layers=1, hidden=5, embedding=4), 12)
    ended = train(texts, model=model, steps=4, validations=1)
    assert model.asked == 4
    (entry,) = ended.journal.history
    assert entry.train_nats == pytest.approx(2 * entry.valid_nats, rel=0.2)


def test_padding_is_not_learned():
    """A step over padded rows gives the gradient of their real tokens."""
    documents = [[2, 3, 0], [4, 5, 6, 7, 8, 0]]
    ended = train(Texts(corpus_of(documents), None, False), model=network(dropout=0.0), steps=1, batch_size=2, window=8)
    model = network(dropout=0.0)
    nats = 0.0
    for document in documents:
        ids = torch.tensor([[0, *document]])
        nats = nats - model.score(ids[:, :-1], ids[:, 1:], model.initial_state(1))[0].sum()
    (told,) = [event for event in ended.events if isinstance(event, Progress)]
    assert told.loss == pytest.approx(nats.item() / 9, rel=1e-6)


def test_matrices_decay_and_biases_do_not():
    model = network()
    matrices, others = learner.make_optimizer(model, TrainingConfig(weight_decay=0.1), torch.device("cpu")).param_groups
    assert matrices["weight_decay"] == 0.1 and all(parameter.dim() == 2 for parameter in matrices["params"])
    assert others["weight_decay"] == 0 and len(matrices["params"]) + len(others["params"]) == len(
        list(model.parameters())
    )


# ── what cannot be ──────────────────────────────────────────────────────────────────────────────


def test_a_text_too_small_is_refused():
    with pytest.raises(TrainingError, match="too few"):
        train(Texts(corpus_of([[2, 0]]), None, True), steps=1)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_lack_of_memory_is_told_with_a_remedy(texts, error, monkeypatch):
    def refuse(*_):
        raise error

    monkeypatch.setattr(Recurrent, "forward", refuse)
    with pytest.raises(TrainingError, match="out of memory at step 0") as caught:
        train(texts, steps=1)
    assert "--batch-size" in caught.value.hint


def test_a_bug_keeps_its_traceback(texts, monkeypatch):
    def fail(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Recurrent, "forward", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        train(texts, steps=1)


def test_the_history_tells_the_share_of_steps_that_were_clipped_and_older_checkpoints_go_on(texts):
    for clip, share in ((1e-6, 1.0), (1e6, 0.0)):
        told = train(texts, steps=6, clip=clip, validations=3).journal.history
        assert [measured.clipped for measured in told] == [share] * 3
    begun = train(texts, steps=6, clip=1e-6, validations=1, stop_after=2)
    del begun.journal.checkpoint.facts["clipped"]  # as versions before wrote it
    ended = train(texts, steps=6, clip=1e-6, validations=1, journal=begun.journal, model=begun.model)
    assert ended.journal.history[-1].clipped == 4 / 6
