"""Other text beside the text that is learned: how much, when, and the same after a stop."""

import itertools
from dataclasses import replace

import pytest
from small import corpus_of, sentences
from test_gradient import BUDGETS, TRAIN, VALID, assert_same_training, network, train

from charlm.config.settings import weighed
from charlm.errors import ConfigError
from charlm.training.batches import Buckets
from charlm.training.feeding import ANNEALED, Feed
from charlm.training.texts import Texts

OTHER = corpus_of(sentences(23, seed=5))
LONG = corpus_of([[*range(2, 9), *range(2, 9), *range(2, 9), 0]] * 6)  # several windows each


def feed(*others):
    return Feed(Buckets(TRAIN, 4, 16, 1), [(Buckets(corpus, 4, 8, 2), weight) for corpus, weight in others])


def taken(source, shares, epochs=50):
    """Of each step until the shares end whether it is of the text itself."""
    shares, found = iter(shares), []

    def share():
        return next(shares)

    try:
        for epoch in range(epochs):
            found += [of_text for of_text, _ in source.batches(epoch, 0, share)]
    except RuntimeError:  # the shares ended inside the generator
        pass
    return found


def test_other_text_is_read_as_its_weight_says_and_less_and_less():
    shares = [number / 400 for number in range(400)]
    found = taken(feed((OTHER, 2.0)), shares)
    # 2 (1 - s / 0.8) for each step of the text, from 0 to 0.8: 0.8 on average over the whole
    assert found.count(False) == pytest.approx(2 * ANNEALED / 2 * 400, rel=0.02)
    firsts, lasts = found[:90], found[-79:]
    assert firsts.count(False) / firsts.count(True) == pytest.approx(2, rel=0.2)
    assert all(lasts)


def test_without_other_text_nothing_is_read_between():
    assert all(taken(feed(), [0.0] * 30))


def test_a_document_of_several_windows_is_read_to_its_end_before_another_text_goes_on():
    source = feed((LONG, 0.5), (OTHER, 0.7))
    batches = itertools.islice(source.batches(0, 0, lambda: 0.0), 200)
    for (_, _), (_, after) in itertools.pairwise(batches):
        assert after.fresh or after.inputs.shape[1] <= 16
    source, read = feed((LONG, 1.0)), []
    for epoch in range(6):
        read += [(of_text, batch.fresh) for of_text, batch in source.batches(epoch, 0, lambda: 0.0)]
    for before, after in itertools.pairwise(read):
        if not after[1]:  # a window that goes on follows one of the same text
            assert before[0] == after[0]
    assert (False, False) in read


@pytest.mark.parametrize("workers", [1, 2])
def test_a_training_on_several_texts_goes_on_after_any_step_as_if_it_had_not_stopped(workers):
    texts = Texts(TRAIN, VALID, False, ((OTHER, 1.5), (LONG, 0.4)))
    whole = train(texts, workers=workers, **BUDGETS[0])
    alone = train(replace(texts, more=()), workers=workers, **BUDGETS[0])
    assert whole.outcome.place.done < alone.outcome.place.done + alone.outcome.place.epoch
    for stop in range(1, whole.outcome.place.step):
        first = train(texts, workers=workers, stop_after=stop, **BUDGETS[0])
        second = train(texts, model=network(seed=8), workers=workers, journal=first.journal, **BUDGETS[0])
        assert_same_training(second.journal, whole.journal)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a.txt", ("a.txt", 1.0)),
        ("a.txt:0.3", ("a.txt", 0.3)),
        ("C:\\a.txt", ("C:\\a.txt", 1.0)),
        ("a:b:2", ("a:b", 2.0)),
    ],
)
def test_a_weight_stands_behind_the_last_colon(given, expected):
    assert weighed(given) == expected


@pytest.mark.parametrize("given", ["a.txt:0", "a.txt:-1", "a.txt:nan", "a.txt:inf", "a.txt:1e9"])
def test_an_impossible_weight_is_refused(given):
    with pytest.raises(ConfigError, match="a weight must be above 0"):
        weighed(given)
