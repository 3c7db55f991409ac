import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config.training import TrainingConfig
from charlm.training.schedules import Budget, Place, learning_rate


@pytest.mark.parametrize(
    ("knobs", "budget"),
    [
        ({}, Budget("epochs", 10)),
        ({"epochs": 2.5}, Budget("epochs", 2.5)),
        ({"steps": 7}, Budget("steps", 7)),
        ({"minutes": 0.5}, Budget("minutes", 0.5)),
    ],
)
def test_a_config_gives_one_budget(knobs, budget):
    assert Budget.of(TrainingConfig(**knobs)) == budget


def test_the_share_is_what_is_used_of_the_budget():
    place = Place(step=30, epoch=1, in_epoch=10, done=0.5, seconds=45)
    assert Budget("steps", 40).share(place) == 0.75
    assert Budget("epochs", 2).share(place) == 0.75
    assert Budget("minutes", 1).share(place) == 0.75


def test_minutes_leave_time_for_the_last_validation():
    assert Budget("minutes", 1).share(Place(seconds=25), reserve=10) == 0.5
    assert Budget("minutes", 1).share(Place(seconds=50), reserve=10) == 1.0
    assert Budget("minutes", 1).share(Place(seconds=0.1), reserve=70) == 1.0


@given(st.integers(1, 10**6))
def test_the_last_step_is_the_last(steps):
    assert Budget("steps", steps).share(Place(step=steps)) == 1.0
    assert Budget("steps", steps).share(Place(step=steps - 1)) < 1.0
    assert Budget("epochs", steps).share(Place(epoch=steps - 1, done=1.0)) == 1.0


def test_the_share_never_exceeds_one():
    assert Budget("steps", 4).share(Place(step=9)) == 1.0


CONFIG = TrainingConfig(learning_rate=0.1, warmup=0.2, final_rate=0.05)


def test_the_learning_rate_rises_then_falls_by_half_a_cosine():
    assert learning_rate(0.0, CONFIG) == pytest.approx(0.001)
    assert learning_rate(0.1, CONFIG) == pytest.approx(0.0505)
    assert learning_rate(0.2, CONFIG) == pytest.approx(0.1)
    assert learning_rate(0.6, CONFIG) == pytest.approx(0.1 * (0.05 + 0.95 / 2))
    assert learning_rate(1.0, CONFIG) == pytest.approx(0.005)


def test_without_warm_up_the_first_step_has_the_highest_rate():
    assert learning_rate(0.0, TrainingConfig(learning_rate=0.1, warmup=0)) == 0.1


@given(st.floats(0, 1), st.floats(0, 0.99), st.floats(0, 0.99))
def test_the_learning_rate_is_positive_and_at_most_the_highest(share, warmup, final_rate):
    rate = learning_rate(share, TrainingConfig(learning_rate=0.1, warmup=warmup, final_rate=final_rate))
    assert 0 <= rate <= 0.1 * (1 + 1e-12)


def test_a_budget_reads_well():
    assert str(Budget("epochs", 10.0)) == "10 epochs"
    assert str(Budget("minutes", 0.5)) == "0.5 minutes"
