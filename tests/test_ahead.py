"""Batches made beside the training: the same ones, nothing left behind, and no fault swallowed."""

import threading

import pytest
import torch
from small import corpus_of

from charlm.errors import TrainingError
from charlm.training.ahead import DEPTH, Ahead
from charlm.training.batches import Buckets, Stripes

CPU = torch.device("cpu")
LINES = [list(range(2, 2 + length)) for length in (3, 9, 4, 7, 5, 8, 6) * 9]


def makers():
    return [thread for thread in threading.enumerate() if thread.name == "batches"]


@pytest.mark.parametrize("source", [Buckets(corpus_of(LINES), 2, 8, 3), Stripes(corpus_of(LINES), 2, 8, 3)])
@pytest.mark.parametrize("skip", [0, 2])
def test_batches_made_ahead_are_those_that_would_be_made_otherwise(source, skip):
    expected, found = list(source.batches(1, skip)), list(Ahead(source, CPU).batches(1, skip))
    assert len(found) == len(expected) > DEPTH
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours.inputs, theirs.inputs) and torch.equal(ours.targets, theirs.targets)
        assert (ours.mask is None) == (theirs.mask is None)
        assert ours.mask is None or torch.equal(ours.mask, theirs.mask)
        assert (ours.tokens, ours.fresh, ours.done) == (theirs.tokens, theirs.fresh, theirs.done)
    assert not makers()


def test_who_stops_asking_leaves_no_thread_behind():
    batches = Ahead(Buckets(corpus_of(LINES), 1, 4, 3), CPU).batches(0)
    next(batches)
    assert len(makers()) == 1
    batches.close()
    assert not makers()


def test_what_goes_wrong_while_batches_are_made_is_raised_where_they_are_read():
    class Torn:
        def batches(self, epoch, skip=0):
            yield from Buckets(corpus_of(LINES), 2, 8, 3).batches(epoch, skip)
            raise TrainingError("the text ends here", hint="")

    batches = Ahead(Torn(), CPU).batches(0)
    with pytest.raises(TrainingError, match="ends here"):
        list(batches)
    assert not makers()
