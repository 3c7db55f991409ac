"""Add-k smoothing worked out on paper.

Four tokens were seen 3, 0, 4 and 1 times: N = 8. With k = 1/2 the probabilities are (c + 1/2) / (8 + 4/2),
so 3.5/10, 0.5/10, 4.5/10 and 1.5/10.
"""

import math

import pytest
import torch

from charlm.config.models import UnigramConfig
from charlm.models.unigram import Unigram


@pytest.fixture
def model():
    return Unigram.from_counts([3, 0, 4, 1], UnigramConfig(add_k=0.5))


def test_every_step_has_the_smoothed_probabilities(model):
    log_probs, _ = model.step(torch.tensor([2, 0]), model.initial_state(2))
    expected = torch.tensor([[0.35, 0.05, 0.45, 0.15]] * 2, dtype=torch.float64)
    torch.testing.assert_close(log_probs.exp(), expected)


def test_a_text_has_the_product_of_them(model):
    log_probs, _ = model.score(torch.tensor([[0, 2, 3]]), torch.tensor([[2, 3, 0]]), model.initial_state(1))
    assert log_probs.sum().item() == pytest.approx(math.log(0.45 * 0.15 * 0.35))


def test_what_was_never_seen_is_possible_all_the_same():
    model = Unigram.from_counts([0, 0], UnigramConfig())
    assert model.log_probs.exp().tolist() == pytest.approx([0.5, 0.5])
