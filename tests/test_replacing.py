"""The likeliest characters in a few places, beside all that could stand there tried one by one."""

from itertools import product

import pytest
import torch
from small import recurrent

from charlm.composing.replacing import replacements
from charlm.text.vocab import EOS

TEXT = [3, 5, 2, 6, 4, EOS]


def log_prob(model, ids):
    read = torch.tensor([[EOS, *ids[:-1]]])
    with torch.no_grad():
        return float(model.score(read, torch.tensor([ids]), model.initial_state(1))[0].sum())


@pytest.mark.parametrize("places", [{2: [2, 3, 4, 5, 6]}, {1: [3, 4, 6], 2: [2, 5], 4: [2, 3, 4]}, {0: [6, 2]}])
def test_they_are_those_of_trying_everything(places):
    model = recurrent()
    tried = []
    for chosen in product(*(places[place] for place in sorted(places))):
        ids = list(TEXT)
        for place, token in zip(sorted(places), chosen, strict=True):
            ids[place] = token
        tried.append((log_prob(model, ids), chosen))
    tried.sort(reverse=True)
    found = replacements(model, TEXT, places)
    assert [one.ids for one in found] == [chosen for _, chosen in tried]
    assert [one.log_prob for one in found] == pytest.approx([value for value, _ in tried])


def test_without_places_the_text_is_scored():
    (found,) = replacements(recurrent(), TEXT, {})
    assert found.ids == () and found.log_prob == pytest.approx(log_prob(recurrent(), TEXT))


def test_the_beam_keeps_the_likeliest_so_far():
    found = replacements(recurrent(), TEXT, {1: [2, 3, 4, 5, 6], 3: [2, 3, 4, 5, 6]}, width=4)
    assert len(found) == 4 and found == sorted(found, key=lambda one: -one.log_prob)
