"""Machine code learns what plain Python learns; matrix products take its steps where steps are small."""

import numpy as np
import pytest
import torch
from oracles import skipgram_by_hand as by_hand

from charlm.embedding import batched, compiled
from charlm.embedding.frequencies import alias_table, huffman_tree, kept_shares

COUNTS = np.array([0, 0, 9, 7, 5, 4, 2, 1], dtype=np.float64)
REACH, RATE, SEED, NEGATIVES = 3, 0.1, 5, 4


def made():
    random = np.random.default_rng(3)
    ids = random.integers(0, len(COUNTS), 120).astype(np.uint16)
    source, target = (random.normal(0, 0.3, (len(COUNTS), 6)).astype(np.float32) for _ in range(2))
    return ids, kept_shares(COUNTS, 0.05), source, target


def drawn(word, random):
    own, other = alias_table(COUNTS)
    rows = [(word, 1)]
    for _ in range(NEGATIVES):
        row = random.below(len(COUNTS))
        row = row if random.uniform() < own[row] else other[row]
        rows += [(row, 0)] if row != word else []
    return rows


def path(word, _):
    tree = huffman_tree(COUNTS)
    part = slice(tree.offsets[word], tree.offsets[word + 1])
    return list(zip(tree.nodes[part], 1 - tree.rights[part].astype(int), strict=True))


@pytest.mark.parametrize("objective", ["negative", "hierarchical"])
def test_machine_code_learns_what_plain_python_learns(objective):
    pytest.importorskip("numba", reason="numba is not installed: pip install 'charlm[fast]'")
    ids, kept, source, target = made()
    tree, negative = huffman_tree(COUNTS), objective == "negative"
    expected = by_hand.learn(ids, kept, drawn if negative else path, source, target, REACH, RATE, SEED)
    tables = (*alias_table(COUNTS), NEGATIVES) if negative else (tree.offsets, tree.nodes, tree.rights)
    before = source.copy()
    nats, pairs = compiled.kernels()[not negative](
        ids, kept, *tables, source, target, REACH, np.float32(RATE), np.uint64(SEED)
    )
    assert pairs > 5 and 0.1 < nats / pairs < 10 and np.abs(source - before).max() > 0.1
    np.testing.assert_allclose(source, expected[0], atol=2e-5)
    np.testing.assert_allclose(target, expected[1], atol=2e-5)


def test_matrix_products_take_the_same_steps_down_the_tree_where_steps_are_small():
    ids, _, source, target = made()
    kept, rate, reach = np.where(COUNTS > 0, 1.0, 0.0), 1e-4, 1  # with a reach of 1 nothing is drawn
    expected = by_hand.learn(ids, kept, path, source, target, reach, rate, SEED)
    x, y = torch.from_numpy(source.copy()), torch.from_numpy(target.copy())
    generator = torch.Generator().manual_seed(1)
    tree = huffman_tree(COUNTS)
    torch_ids = torch.from_numpy(ids.astype(np.int64))
    _, pairs = batched.learn(
        torch_ids, torch.from_numpy(kept), x, y, reach=reach, rate=rate, generator=generator, tree=tree
    )
    assert pairs > 100
    for ours, theirs, start in ((x, expected[0], source), (y, expected[1], target)):
        np.testing.assert_allclose((ours.numpy() - start) / rate, (theirs - start) / rate, atol=0.03)


def test_a_block_is_the_gradient_of_its_pairs_and_of_the_words_drawn_for_them():
    ids, _, source, target = made()
    kept, rate, reach = np.where(COUNTS > 0, 1.0, 0.0), 1e-4, 2
    words = [int(word) for word in ids if word > 1][:10]
    noise = torch.from_numpy(np.cumsum(COUNTS**0.75 / (COUNTS**0.75).sum()))
    x, y = torch.from_numpy(source.copy()), torch.from_numpy(target.copy())
    generator = torch.Generator().manual_seed(7)
    batched.learn(torch.tensor(words), torch.from_numpy(kept), x, y, reach=reach, rate=rate, generator=generator,
                  noise=noise, negatives=NEGATIVES)  # fmt: skip
    again = torch.Generator().manual_seed(7)  # what the block has drawn, in its order
    torch.rand(len(words), generator=again, dtype=torch.float64)
    near = torch.randint(1, reach + 1, (len(words),), generator=again)
    uniform = torch.rand(batched.DRAWN, generator=again, dtype=torch.float64)
    others = torch.searchsorted(noise, uniform)
    a, b = (torch.from_numpy(each.copy()).double().requires_grad_() for each in (source, target))
    total = torch.zeros((), dtype=torch.float64)
    for center, word in enumerate(words):
        for context, neighbour in enumerate(words):
            if context != center and abs(context - center) <= int(near[center]):
                total = total + torch.nn.functional.logsigmoid(a[neighbour] @ b[word])
                said = torch.nn.functional.logsigmoid(-(b[others] @ a[neighbour]))
                total = total + said.sum() * NEGATIVES / batched.DRAWN
    total.backward()
    for ours, start, slope in ((x, source, a.grad), (y, target, b.grad)):
        np.testing.assert_allclose((ours.numpy() - start) / rate, slope.numpy(), atol=0.03)
