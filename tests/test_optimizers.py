"""Muon and averages of the weights: their numbers, and the same training after a stop."""

from dataclasses import replace

import pytest
import torch
from small import corpus_of
from test_gradient import READINGS, VALID, Faulty, Texts, Watched, assert_same_training, network, train
from torch import nn

from charlm.config.training import TrainingConfig
from charlm.errors import ConfigError, TrainingError
from charlm.training.averages import Averaging
from charlm.training.optimizers import QUINTIC, Muon, make_muon, make_optimizer, orthogonal

# ── Muon ────────────────────────────────────────────────────────────────────────────────────────


def matrices(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(3, 4, 9), (3, 9, 4), (1, 5, 5)], ids=str)
def test_a_matrix_is_made_orthogonal_by_the_polynomial_of_its_singular_values(shape):
    given = matrices(*shape)
    left, sizes, right = torch.linalg.svd(given, full_matrices=False)
    sizes = sizes / sizes.norm(dim=1, keepdim=True)
    a, b, c = QUINTIC
    for _ in range(5):
        sizes = a * sizes + b * sizes**3 + c * sizes**5
    torch.testing.assert_close(orthogonal(given), left * sizes[:, None] @ right)


def test_singular_values_come_near_one():
    found = torch.linalg.svdvals(orthogonal(matrices(8, 6, 20)))
    assert found.min() > 0.65 and found.max() < 1.25


def test_a_step_of_muon_by_hand():
    """A row has one singular value: its direction is the row over its length, times the polynomial at 1."""
    row = nn.Parameter(torch.tensor([[2.0, 0.0], [0.0, 1.0]], dtype=torch.float64))
    row.grad = torch.tensor([[3.0, 4.0], [0.0, -2.0]], dtype=torch.float64)
    size = torch.ones(1, dtype=torch.float64)
    a, b, c = QUINTIC
    for _ in range(5):
        size = a * size + b * size**3 + c * size**5
    muon = Muon([(row, 2)], decay=0.5, dtype=torch.float64, by_gates=True)
    muon.at(0.0, 0.1)
    muon.step()
    pace = 0.1 * 0.2 * 2**0.5 * size
    expected = 0.95 * torch.tensor([[2.0, 0.0], [0.0, 1.0]]) - pace * torch.tensor([[0.6, 0.8], [0.0, -1.0]])
    torch.testing.assert_close(row.detach(), expected)
    torch.testing.assert_close(muon.momenta[0], 0.05 * row.grad)


def test_muon_of_whole_matrices_is_that_of_torch():
    mine, theirs = (nn.Parameter(matrices(12, 7).float()) for _ in range(2))
    muon = Muon([(mine, 1)], decay=0.1, dtype=torch.bfloat16, by_gates=False)
    other = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(6):
        mine.grad = theirs.grad = matrices(12, 7, seed=step).float()
        muon.at(0.0, 0.02)
        muon.step()
        other.step()
    torch.testing.assert_close(mine, theirs, rtol=0, atol=6 * 0.02 * 0.03)  # both round in bf16
    assert (mine - matrices(12, 7).float()).abs().max() > 0.05


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn-tanh", "lstm-capped"])
def test_muon_moves_the_matrices_of_cells_gate_by_gate_and_adamw_the_rest(cell):
    model = network(cell=cell)
    muon = make_muon(model, TrainingConfig(optimizer="muon"), torch.float32)
    gates = {"lstm": 4, "lstm-capped": 4, "gru": 3, "rnn-tanh": 1}[cell]
    assert [count for _, count in muon.blocks] == [gates] * 4 + [1]  # two layers, and the projection
    moved = {id(matrix) for matrix, _ in muon.blocks}
    rest = make_optimizer(model, TrainingConfig(), torch.device("cpu"), [matrix for matrix, _ in muon.blocks])
    others = {id(p) for group in rest.param_groups for p in group["params"]}
    assert not moved & others and moved | others == {id(p) for p in model.parameters()}
    assert id(model.embedding.weight) in others
    whole = make_muon(model, TrainingConfig(optimizer="muon-whole"), torch.float32)
    assert {count for _, count in whole.blocks} == {1} and whole.kind != muon.kind


def test_muon_is_refused_for_a_model_that_does_not_tell_its_hidden_matrices():
    with pytest.raises(ConfigError, match="--optimizer muon is for networks"):
        make_muon(nn.Linear(2, 2), TrainingConfig(optimizer="muon"), torch.float32)


def test_the_memory_of_adamw_in_tokens_does_not_depend_on_the_size_of_a_step():
    for batch, window in ((1, 10), (8, 25)):
        memory = TrainingConfig(beta2_tokens=1000, batch_size=batch, window=window).square_memory
        assert memory ** (1000 / (batch * window)) == pytest.approx(0.5)
    optimizer = make_optimizer(network(), TrainingConfig(beta2_tokens=2048), torch.device("cpu"))
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.5)  # 32 · 64 tokens a step
    assert TrainingConfig(beta2=0.9).square_memory == 0.9


# ── averages ────────────────────────────────────────────────────────────────────────────────────


def averaged(kind, memory, shares, weights):
    """The average after each step, with the weight 1 × 1 moved by hand."""
    model = nn.Linear(1, 1, bias=False).double()
    part, found = Averaging(model, kind, memory), []
    for share, weight in zip(shares, weights, strict=True):
        part.at(share, 0.1)
        nn.init.constant_(model.weight, weight)
        part.step()
        with part.in_place():
            found.append(model.weight.item())
        assert model.weight.item() == weight
    return found


def test_an_average_of_all_steps_weighs_them_by_a_power_of_their_share():
    # memory 1/2: p = 2, and the steps 2, 3, 4 have 0.25² , 0.5² - 0.25², 0.75² - 0.5² of what there is
    found = averaged("ema", 0.5, [0.0, 0.25, 0.5, 0.75], [8.0, 1.0, 5.0, 2.0])
    assert found == pytest.approx([8.0, 1.0, (1 + 3 * 5) / 4, (1 + 3 * 5 + 5 * 2) / 9])


def test_an_average_of_the_tail_is_the_mean_of_its_steps():
    found = averaged("tail", 0.5, [0.0, 0.25, 0.5, 0.75, 0.9], [8.0, 1.0, 5.0, 2.0, 2.0])
    assert found == pytest.approx([8.0, 1.0, 5.0, 3.5, 3.0])


def test_a_budget_that_is_raised_begins_the_tail_anew_and_goes_on_with_the_rest():
    assert averaged("tail", 0.5, [0.5, 0.9, 0.3, 0.6, 0.7], [4.0, 2.0, 7.0, 1.0, 3.0]) == [4.0, 3.0, 7.0, 1.0, 2.0]
    found = averaged("ema", 0.5, [0.4, 0.8, 0.2, 0.4], [4.0, 8.0, 9.0, 1.0])
    assert found == pytest.approx([4.0, (4 + 3 * 8) / 4, 7.0, (7 + 3 * 1) / 4])


AVERAGES = [{"average": "ema", "average_share": 0.3}, {"average": "tail", "average_share": 0.6}]
PARTS = [*AVERAGES, {"optimizer": "muon"}, {"optimizer": "muon-whole"}, {"optimizer": "muon", **AVERAGES[0]}]


@pytest.mark.parametrize("knobs", AVERAGES, ids=str)
def test_averages_are_measured_and_kept_and_the_optimizer_goes_on_with_its_own(knobs):
    texts = READINGS["stripes"]
    rest = {"steps": 6, "validations": 6, "final_rate": 0.5}
    plain, averaged = train(texts, **rest), train(texts, **rest, **knobs)
    assert all(torch.equal(t, averaged.model.state_dict()[n]) for n, t in plain.model.state_dict().items())
    share = TrainingConfig(**knobs).average_share
    of_steps = []
    for stop in range(1, 7):
        of_steps.append(train(texts, stop_after=stop, **rest).model.state_dict())
    for name, kept in averaged.journal.checkpoint.tensors.items():
        if not name.startswith("average/") or name == "average/#":
            continue
        every = [weights[name.removeprefix("average/")] for weights in of_steps]
        if knobs["average"] == "tail":
            expected = torch.stack(every[3:]).mean(0)  # those that began at 3/6 or later: 1 - 0.6 is above 2/6
        else:
            sizes = torch.tensor([0, *(((k / 6) ** (1 / share)) for k in range(1, 6))]).diff()
            expected = sum(size * w for size, w in zip(sizes / sizes.sum(), every[1:], strict=True))
        torch.testing.assert_close(kept, expected, rtol=1e-4, atol=1e-6)
    last = averaged.journal.history[-1]
    model = network()
    kept = {n.removeprefix("average/"): t for n, t in averaged.journal.checkpoint.tensors.items() if "average/" in n}
    del kept["#"]
    model.load_state_dict(kept)
    score = texts.measure(model.eval())
    assert score.nats / score.tokens == pytest.approx(last.valid_nats, rel=1e-6)
    if last.is_best:
        assert all(torch.equal(t, averaged.journal.weights[n]) for n, t in model.state_dict().items())
    assert last.valid_nats != plain.journal.history[-1].valid_nats


def test_what_is_kept_at_the_end_without_a_validation_text_is_the_average():
    texts = replace(READINGS["buckets"], valid=None)
    ended = train(texts, steps=6, validations=1, **AVERAGES[1])
    kept = ended.journal.checkpoint.tensors
    assert all(torch.equal(t, kept[f"average/{n}"]) for n, t in ended.journal.weights.items())
    assert any(not torch.equal(t, ended.journal.weights[n]) for n, t in ended.model.state_dict().items())


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("knobs", PARTS, ids=str)
def test_a_training_with_parts_goes_on_as_if_it_had_never_stopped(reading, workers, knobs):
    texts, rest = READINGS[reading], {"steps": 7, "validations": 2, "workers": workers, **knobs}
    whole = train(texts, **rest)
    for stop in (1, 3, 6):
        journal = train(texts, stop_after=stop, **rest).journal
        train(texts, model=network(seed=8), journal=journal, **rest)
        assert_same_training(journal, whole.journal)


def test_turned_stripes_go_on_as_if_they_had_never_stopped_and_only_as_such():
    texts = Texts(corpus_of([[2, 3, 4, 0], [5, 6, 7, 8, 0]] * 20), VALID, True)
    whole = train(texts, steps=9, partial_shuffle=True)
    assert whole.outcome.place.epoch > 1
    journal = train(texts, steps=9, partial_shuffle=True, stop_after=5).journal
    with pytest.raises(TrainingError, match="does not fit this training"):
        train(texts, journal=replace(journal), steps=9)
    train(texts, model=network(seed=8), journal=journal, steps=9, partial_shuffle=True)
    assert_same_training(journal, whole.journal)


@pytest.mark.parametrize(("mine", "other"), [(PARTS[0], PARTS[1]), (PARTS[2], PARTS[3]), (PARTS[0], {})], ids=str)
def test_a_checkpoint_with_other_parts_is_refused(mine, other):
    journal = train(READINGS["stripes"], steps=2, **mine).journal
    with pytest.raises(TrainingError, match="this training optimizer"):
        train(READINGS["stripes"], journal=journal, steps=4, **other)


def test_weights_that_break_do_not_spoil_the_averages():
    torch.manual_seed(1)
    model = Faulty(weights=[6])
    ended = train(READINGS["stripes"], model=model, journal=Watched(), steps=12, validations=3, **AVERAGES[0])
    assert "embedding.weight are not finite" in ended.notices[0]
    assert ended.outcome.place.step == 12 and ended.journal.kept  # Watched looks at all it is given


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"average_share": 0.2}, "--average-share is for --average"),
        ({"average": "ema", "average_share": 0.0}, "--average-share must be above 0 and below 1"),
        ({"beta2": 0.9, "beta2_tokens": 1e6}, "rivals"),
        ({"beta2_tokens": 0.0}, "--beta2-tokens must be above 0"),
    ],
    ids=str,
)
def test_impossible_values_are_refused(knobs, said):
    with pytest.raises(ConfigError, match=said):
        TrainingConfig(**knobs)
