"""The bidirectional network and the fillings it gives, in plain numpy and by trying out everything."""

import itertools
import math

import numpy as np
import pytest
import torch
from small import codec_of
from tiny_models import tiny_cloze, tiny_recurrent, tiny_surrounding

from charlm.filling.blanks import blanked
from charlm.filling.both import BothSides
from charlm.filling.likelihood import pseudo_log_probs
from charlm.filling.searching import search
from charlm.filling.whole import WholeSentences
from charlm.models.cloze import ALONE, FIRST, LATER
from charlm.text.reader import Reader

V = 6  # <EOS>, <UNK>, a, b, c, d
TEXT = [2, 4, 3, 5, 2, 0]


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


class ByHand:
    """h_t = tanh(W x_t + b + U h_{t-1} + b') in each direction, and the layer where both meet."""

    def __init__(self, model) -> None:
        self.weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}

    def read(self, way: str, ids: list[int]) -> np.ndarray:
        """The hidden vector after some ids, in the order in which that direction reads them; zeros before any."""
        w = self.weights
        vectors = w["embedding.weight"] * w["embedding.weight"].shape[1] ** 0.5
        h = np.zeros(w[f"{way}.cells.0.core.weight_hh_l0"].shape[1])
        for token in ids:
            x = w["missing"] * len(w["missing"]) ** 0.5 if token is None else vectors[token]
            cell = {
                name: w[f"{way}.cells.0.core.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            h = np.tanh(cell["weight_ih"] @ x + cell["bias_ih"] + cell["weight_hh"] @ h + cell["bias_hh"])
        return w[f"{way}.given.weight"] @ h + w[f"{way}.given.bias"]

    def between(self, before: list[int], behind: list[int], place: int) -> np.ndarray:
        """P(token) between two sides: `before` begins after `<EOS>`, and None is a missing token."""
        w = self.weights
        joint = np.tanh(self.read("forwards", [0, *before]) + self.read("backwards", behind[::-1]) + w["places"][place])
        vector = w["projection.weight"] @ joint + w["projection.bias"]
        return softmax(w["embedding.weight"] @ vector + w["bias"])


@pytest.fixture(scope="module")
def model():
    return tiny_cloze(V, cell="rnn-tanh", layers=1)


@pytest.fixture(scope="module")
def by_hand(model):
    return ByHand(model)


def test_what_stands_between_two_sides_is_what_numpy_says(model, by_hand):
    left, right = model.sides(torch.tensor([TEXT]), torch.tensor([len(TEXT)]))
    for place, kind in itertools.product(range(5), (ALONE, FIRST, LATER)):
        found = model.between(left[:, place], right[:, place + 1], torch.tensor([kind])).exp()[0].detach().numpy()
        np.testing.assert_allclose(found, by_hand.between(TEXT[:place], TEXT[place + 1 :], kind), rtol=1e-10)


def test_the_pseudo_likelihood_is_the_sum_over_the_places(model, by_hand):
    (found,) = pseudo_log_probs(model, [TEXT])
    expected = [
        math.log(by_hand.between(TEXT[:place], TEXT[place + 1 :], ALONE)[TEXT[place]]) for place in range(len(TEXT) - 1)
    ]
    np.testing.assert_allclose(found[:-1], expected, rtol=1e-10)


# ── fillings, beside all that there are ─────────────────────────────────────────────────────────

CODEC = codec_of("abcd")
TOKENS = range(2, V)


def guesses(judge, text: str, *, longest: int, width: int = 10_000) -> dict[tuple, float]:
    sentence = blanked(text, CODEC, Reader())
    return {guess.fills: guess.log_prob for guess in search(judge(sentence), sentence, width=width, longest=longest)}


def without_end(said: np.ndarray) -> np.ndarray:
    said = said.copy()
    said[0] = 0
    return said / said.sum()


def chained(by_hand, before: list[int], fill: tuple[int, ...], behind: list[int], *, known: bool) -> float:
    """log P of one blank's tokens, one after the other; with `known` its length is known, else its end counts."""
    total = 0.0
    for place, token in enumerate(fill):
        if known:
            rest = [None] * (len(fill) - place - 1)
            said = without_end(by_hand.between([*before, *fill[:place]], [*rest, *behind], ALONE))
        elif place == 0:
            said = without_end(by_hand.between(before, behind, FIRST))
        else:
            said = by_hand.between([*before, *fill[:place]], behind, LATER)
        total += math.log(said[token])
    return total if known else total + math.log(by_hand.between([*before, *fill], behind, LATER)[0])


def test_a_blank_of_known_length_is_filled_token_by_token(model, by_hand):
    found = guesses(lambda sentence: BothSides(model, sentence), "a□□b", longest=9)
    assert len(found) == 16
    for (fill,), log_prob in found.items():
        assert log_prob == pytest.approx(chained(by_hand, [2], fill, [3, 0], known=True), abs=1e-6)


def test_a_blank_of_any_length_weighs_all_lengths_against_each_other(model, by_hand):
    found = guesses(lambda sentence: BothSides(model, sentence), "a__b", longest=3)
    assert len(found) == 4 + 16 + 64
    for (fill,), log_prob in found.items():
        assert log_prob == pytest.approx(chained(by_hand, [2], fill, [3, 0], known=False), abs=1e-6)


@pytest.mark.parametrize("make", [tiny_cloze, tiny_surrounding])
def test_the_probabilities_of_all_fillings_sum_to_one_but_for_what_is_left_out(make):
    model = make(V)
    with torch.no_grad():
        model.bias[1] = -1e3  # <UNK>, which is never offered
        model.bias[0] = 3.0  # blanks that end soon
    short, long = (
        sum(map(math.exp, guesses(lambda s: BothSides(model, s), "a__b", longest=longest).values()))
        for longest in (1, 6)
    )
    assert short < long < 1 + 1e-9 and long == pytest.approx(1, abs=0.02)
    for text in ("_", "a_□b", "□□", "c_d□□"):
        total = sum(map(math.exp, guesses(lambda s: BothSides(model, s), text, longest=1).values()))
        assert total == pytest.approx(1, abs=1e-6)


def test_several_blanks_multiply_the_ones_to_the_right_being_missing_as_long_as_they_are(model, by_hand):
    found = guesses(lambda sentence: BothSides(model, sentence), "_a□□", longest=9)
    for (first, second), log_prob in found.items():
        one = math.log(without_end(by_hand.between([], [2, None, None, 0], ALONE))[first[0]])
        two = chained(by_hand, [*first, 2], second, [0], known=True)
        assert log_prob == pytest.approx(one + two, abs=1e-6)
    assert len(found) == 64


@pytest.mark.parametrize("text", ["a_b", "_", "a__b", "_c_", "a□□"])
def test_whole_sentences_are_scored_as_they_stand(text):
    model = tiny_recurrent("gru")(V)
    sentence = blanked(text, CODEC, Reader())
    found = guesses(lambda s: WholeSentences(model, s), text, longest=2)
    sizes = [range(1, 3) if length is None else (length,) for length in sentence.blanks]
    assert len(found) == math.prod(sum(4**size for size in each) for each in sizes)
    for fills, log_prob in found.items():
        ids = torch.tensor([[0, *CODEC.encode(sentence.filled([CODEC.decode(fill) for fill in fills])).ids]])
        whole, _ = model.score(ids[:, :-1], ids[:, 1:], model.initial_state(1))
        assert log_prob == pytest.approx(float(whole.detach().sum()), abs=1e-6)


def test_a_narrow_search_finds_the_best_filling_of_one_token():
    model = tiny_cloze(V)
    best = max((found := guesses(lambda s: BothSides(model, s), "ab_d", longest=1)), key=found.__getitem__)
    assert list(guesses(lambda s: BothSides(model, s), "ab_d", longest=1, width=1)) == [best]
