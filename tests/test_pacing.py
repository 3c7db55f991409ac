"""How the steps of a training are taken: by threads with rows of their own, or by one with torch's own threads."""

import pytest
import torch
from small import recurrent
from test_gradient import BUDGETS, KNOBS, READINGS, Ended, Watched, assert_same_training, network

from charlm.config.networks import RecurrentConfig
from charlm.config.training import TrainingConfig
from charlm.jobs import train as jobs
from charlm.jobs.train import machine_for
from charlm.models.recurrent import Recurrent
from charlm.training.devices import Machine
from charlm.training.gradient import fit
from charlm.training.pacing import STEPS, WATCHED, Pacing
from charlm.training.standing import Standing

SECONDS = {True: 0.5, False: 1.0}  # of a step that one thread takes, and of one that the crew takes
CPU = torch.device("cpu")


def trial(*, together: float, alone: float) -> Pacing:
    """Both ways tried, with so many tokens a second each."""
    found = Pacing(Standing(), tries=True)
    for _ in range(STEPS):
        found.took(100, 100 / (alone if found.alone else together))
    return found


def test_both_ways_are_tried_in_turn_and_the_faster_one_is_taken():
    found, ways = Pacing(Standing(), tries=True), []
    for _ in range(STEPS):
        ways.append(found.alone)
        found.took(100, 1.0)
    assert ways == [False, True] * (STEPS // 2)
    assert trial(together=1000, alone=1500).alone and not trial(together=1500, alone=1000).alone


def test_where_both_are_near_each_other_a_training_that_is_repeated_takes_the_same():
    assert not trial(together=1000, alone=1050).alone


def test_the_first_step_of_each_way_warms_up_and_does_not_count():
    found = Pacing(Standing(), tries=True)
    for step in range(STEPS):
        found.took(100, 1000.0 if step < 2 else 1.0 if found.alone else 2.0)
    assert found.alone


@pytest.mark.parametrize(("times", "again"), [(1.0, False), (1.4, False), (2.0, True), (0.5, True)])
def test_a_machine_that_has_become_busy_or_idle_is_tried_again(times, again):
    found = trial(together=1000, alone=2000)
    for _ in range(3):
        found.took(int(WATCHED * 2000) + 1, WATCHED)
    assert found.now.alone is True
    found.took(int(WATCHED * 2000 / times), WATCHED)
    assert (found.now.alone is None) == again and (found.now.paces == [])


def test_a_training_that_is_resumed_on_a_busy_machine_notices_it():
    """The speed it had on the idle one was forgotten, and a tenth of it taken for the usual."""
    before = trial(together=1000, alone=2000)
    before.took(int(WATCHED * 2000) + 1, WATCHED)
    resumed = Pacing(Standing(), tries=True)
    resumed.now.take_up(before.now.facts())
    assert resumed.alone
    resumed.took(int(WATCHED * 200), WATCHED)
    assert resumed.now.alone is None


def test_a_machine_without_a_choice_tries_nothing():
    found = Pacing(Standing(), tries=False)
    for _ in range(20):
        assert not found.alone
        found.took(100, 1000.0)
    assert found.now.facts() == Standing().facts()


def test_a_step_without_a_token_or_a_tick_of_the_clock_is_no_fault():
    found = Pacing(Standing(), tries=True)
    for _ in range(STEPS):
        found.took(0, 0.0)
    assert not found.alone


# ── in a training ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def planted(monkeypatch):
    """A clock by which one thread takes half of the time; the ways in which steps were taken."""
    ways, real = [], Pacing.took

    def took(self, tokens, seconds):
        ways.append(self.alone)
        real(self, tokens, tokens * SECONDS[self.alone] / 100)

    monkeypatch.setattr(Pacing, "took", took)
    return ways


def paced(texts, *, model=None, journal=None, stop_after=None, **knobs) -> Ended:
    model, journal, events = model or network(), journal or Watched(), []
    journal.stop_after, journal.asked = stop_after, 0
    machine = Machine(CPU, "float32", workers=2, paced=True)
    config = TrainingConfig(**{**KNOBS, **knobs})
    return Ended(
        fit(model, texts, config, machine=machine, journal=journal, report=events.append), model, journal, events
    )


@pytest.mark.parametrize("reading", READINGS)
def test_a_training_that_tries_both_ways_goes_on_after_any_step_as_if_it_had_not_stopped(reading, planted):
    texts = READINGS[reading]
    whole = paced(texts, **BUDGETS[0])
    assert planted == [False, True] * (STEPS // 2) + [True] * (BUDGETS[0]["steps"] - STEPS)
    for stop in range(1, BUDGETS[0]["steps"]):
        first = paced(texts, stop_after=stop, **BUDGETS[0])
        second = paced(texts, model=network(seed=8), journal=first.journal, **BUDGETS[0])
        assert_same_training(second.journal, whole.journal)


def test_both_ways_learn_the_same(planted):
    """Without dropout they differ by the order of sums alone."""
    texts = READINGS["buckets"]
    mixed = paced(texts, model=network(dropout=0.0), steps=9, validations=3)
    config = TrainingConfig(**KNOBS, steps=9, validations=3)
    one = Watched()
    fit(network(dropout=0.0), texts, config, machine=Machine(CPU, "float32"), journal=one, report=lambda _: None)
    assert any(planted) and not all(planted)
    for name, weight in one.weights.items():
        torch.testing.assert_close(mixed.journal.weights[name], weight, rtol=1e-4, atol=1e-5)


def test_torch_has_its_threads_while_one_takes_a_step_and_afterwards(planted, monkeypatch):
    before, given = torch.get_num_threads(), []
    torch.set_num_threads(4)
    try:
        real = Recurrent.read
        monkeypatch.setattr(Recurrent, "read", lambda self, *a: given.append(torch.get_num_threads()) or real(self, *a))
        paced(READINGS["buckets"], steps=4, validations=1)
        assert torch.get_num_threads() == 4 and {2, 4} == set(given)
    finally:
        torch.set_num_threads(before)


def test_a_checkpoint_from_before_there_was_a_choice_goes_on_without_one(planted):
    texts = READINGS["buckets"]
    first = paced(texts, stop_after=3, **BUDGETS[0])
    for name in ("alone", "paces", "usual"):
        del first.journal.checkpoint.facts[name]
    machine = Machine(CPU, "float32", workers=2)
    config = TrainingConfig(**{**KNOBS, **BUDGETS[0]})
    planted.clear()
    first.journal.stop_after = None
    fit(network(), texts, config, machine=machine, journal=first.journal, report=lambda _: None)
    assert planted and not any(planted)


# ── where ───────────────────────────────────────────────────────────────────────────────────────


def test_only_a_large_network_on_several_cores_of_a_processor_tries_both(monkeypatch):
    monkeypatch.setattr(jobs, "choose_precision", lambda *asked: "float32")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with torch.device("meta"):
        large = Recurrent(RecurrentConfig(layers=2, hidden=512, embedding=256), 6000)
    asked = {"device": "cpu", "batch_size": 16, "window": 64}
    assert machine_for(TrainingConfig(**asked), large).paced
    assert not machine_for(TrainingConfig(**asked), recurrent()).paced
    assert not machine_for(TrainingConfig(**asked, workers=2), large).paced
    assert not machine_for(TrainingConfig(**{**asked, "batch_size": 8}), large).paced
    monkeypatch.setattr(jobs, "choose_device", lambda name: torch.device("cuda"))
    assert not machine_for(TrainingConfig(**asked), large).paced
