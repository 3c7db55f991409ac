"""Word vectors: what counts decide, what is learned, the files, what can be asked, the picture."""

import gzip
import heapq
import math
import random
from itertools import pairwise

import numpy as np
import pytest

from charlm.config.embedding import EmbeddingConfig
from charlm.embedding import compiled, counted, formats, neighbours, plane, skipgram
from charlm.embedding.frequencies import alias_table, counts_of, huffman_tree, kept_shares
from charlm.embedding.vectors import WordVectors
from charlm.errors import ConfigError, MissingExtra, Stopped, TextError, TrainingError, VectorsError
from charlm.text.corpus import Corpus, Facts
from charlm.text.decoding import nobody

METHODS = [
    "batched",
    pytest.param("compiled", marks=pytest.mark.skipif(not compiled.is_there(), reason="numba is not installed")),
]


# ── counts ──────────────────────────────────────────────────────────────────────────────────────


def test_ends_of_lines_what_is_unknown_and_white_space_are_no_words():
    assert counts_of(["<EOS>", "<UNK>", "a", " ", "\u3000", "b"], [9, 8, 7, 6, 5, 4]).tolist() == [0, 0, 7, 0, 0, 4]


def test_a_word_of_the_share_f_is_read_sqrt_of_t_over_f_plus_t_over_f_of_the_time():
    counts = np.array([0, 90.0, 9.9, 0.1])
    kept = kept_shares(counts, 0.01)
    assert kept[0] == 0 and kept[3] == 1
    assert kept[1] == pytest.approx(math.sqrt(0.01 / 0.9) + 0.01 / 0.9)
    assert kept_shares(counts, 0).tolist() == [0, 1, 1, 1]


def test_the_alias_table_draws_each_word_as_often_as_its_count_to_three_quarters():
    counts = np.array([0, 0, 50.0, 0, 7, 3, 1, 1000])
    own, other = alias_table(counts)
    shares = np.zeros(len(counts))
    for row in range(len(counts)):
        shares[row] += own[row] / len(counts)
        shares[other[row]] += (1 - own[row]) / len(counts)
    np.testing.assert_allclose(shares, counts**0.75 / (counts**0.75).sum(), atol=1e-12)
    assert shares[[0, 1, 3]].tolist() == [0, 0, 0]


def test_the_huffman_tree_has_the_shortest_paths_and_every_word_a_path_of_its_own():
    counts = np.array([0, 0, 5.0, 9, 12, 13, 16, 45])  # the textbook's letters: 224 bits
    tree = huffman_tree(counts)
    lengths = np.diff(tree.offsets)
    assert lengths.tolist() == [0, 0, 4, 4, 3, 3, 3, 1] and float(lengths @ counts) == 224
    assert tree.inner == 5
    codes = {tuple(tree.rights[a:b]) for a, b in pairwise(tree.offsets) if b > a}
    assert len(codes) == 6
    assert not [one for one in codes for other in codes if one != other and other[: len(one)] == one]


def test_huffman_paths_of_any_counts_cost_what_merging_costs():
    counts = np.array(random.Random(4).choices(range(1, 1000), k=300), dtype=np.float64)
    heap, cost = counts.tolist(), 0.0
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        cost += both
        heapq.heappush(heap, both)
    assert float(np.diff(huffman_tree(counts).offsets) @ counts) == cost


# ── learning ────────────────────────────────────────────────────────────────────────────────────


def text_of(documents):
    """A corpus of ids, each document closed by 0."""
    ids = np.array([word for document in documents for word in (*document, 0)], dtype=np.uint16)
    starts = np.cumsum([0, *(len(document) + 1 for document in documents)])
    return Corpus(ids, starts, Facts(len(documents), len(ids), len(ids), 0, 0, 0), "")


def two_topics(lines=600):
    """Lines of ten words, of 2 to 11 or of 12 to 21: who stands beside whom says which of the two a word is of."""
    draw = random.Random(8)
    return text_of([[first + draw.randrange(10) for _ in range(10)] for first in draw.choices((2, 12), k=lines)])


def learned(corpus, signal=lambda: None, report=nobody, **knobs):
    counts = np.bincount(corpus.ids, minlength=22).astype(np.float64)
    counts[:2] = 0
    config = EmbeddingConfig(**{"size": 16, "subsample": 0.0, "threads": 1, **knobs})
    return skipgram.learn(corpus, counts, config, report=report, signal=signal)


@pytest.mark.parametrize("objective", ["negative", "hierarchical"])
@pytest.mark.parametrize("method", METHODS)
def test_words_that_keep_the_same_company_come_near_to_each_other(method, objective):
    corpus = two_topics()
    made = learned(corpus, method=method, objective=objective, epochs=8, learning_rate=0.05)
    assert made.method == method and made.words == 8 * np.count_nonzero(corpus.ids)
    vectors = WordVectors([str(word) for word in range(2, 22)], made.matrix[2:])
    for word in range(2, 22):
        near = [int(other) for other, _ in neighbours.nearest(vectors, [str(word)], 5)]
        assert all((other < 12) == (word < 12) for other in near), (word, near)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_gives_the_same_vectors_with_one_thread_and_another_seed_others(method):
    corpus = two_topics(100)
    one, again, other = (learned(corpus, method=method, epochs=1, seed=seed).matrix for seed in (3, 3, 4))
    assert np.array_equal(one, again) and not np.allclose(one, other)


@pytest.mark.parametrize("method", METHODS)
def test_several_threads_read_the_whole_text_as_often_as_one(method, monkeypatch):
    monkeypatch.setattr(skipgram, "pieces", lambda starts, size=200: original(starts, 200))
    corpus = two_topics()
    made = learned(corpus, method=method, epochs=3, threads=3)
    assert made.words == 3 * np.count_nonzero(corpus.ids) and np.isfinite(made.matrix).all()


original = skipgram.pieces


def test_pieces_are_the_whole_text_and_begin_where_documents_do():
    starts = np.cumsum([0, *random.Random(1).choices(range(1, 40), k=500)])
    cuts = list(skipgram.pieces(starts, 100))
    assert cuts[0][0] == 0 and cuts[-1][1] == starts[-1]
    assert all(one[1] == other[0] for one, other in pairwise(cuts))
    assert {last for _, last in cuts} <= set(starts.tolist()) and max(b - a for a, b in cuts) <= 100


def test_a_half_epoch_reads_half_and_progress_is_told():
    events = []
    corpus = two_topics(6000)
    made = learned(corpus, method="batched", epochs=0.5, report=events.append, size=4)
    assert 0.4 < made.words / np.count_nonzero(corpus.ids) < 0.8
    assert events and all(0 < event.share < 1 and event.loss > 0 for event in events)


def test_the_rate_falls_in_a_straight_line_and_minutes_are_a_budget():
    config = EmbeddingConfig(minutes=2, learning_rate=0.1, final_rate=0.01)
    assert config.share(100, 60) == 0.5 and config.rate(0.5) == 0.05 and config.rate(1) == 0.01
    assert EmbeddingConfig().share(2.5, 1e9) == 0.5


def test_a_signal_stops_it_and_nothing_is_left_half_done():
    with pytest.raises(Stopped) as caught:
        learned(two_topics(100), method="batched", signal=lambda: 15)
    assert caught.value.exit_code == 143


def test_a_text_of_one_word_teaches_nothing():
    with pytest.raises(TextError, match="fewer than two words"):
        learned(text_of([[2, 2, 2]]))


def test_machine_code_without_numba_is_asked_for_by_its_extra(monkeypatch):
    monkeypatch.setattr(compiled, "is_there", lambda: False)
    with pytest.raises(MissingExtra, match="numba"):
        learned(two_topics(5), method="compiled")
    assert learned(two_topics(5), epochs=1).method == "batched"


@pytest.mark.parametrize("rate", [0.025, 0.25, 1.0])
@pytest.mark.parametrize("objective", ["negative", "hierarchical"])
def test_many_pairs_of_one_row_in_a_block_do_not_carry_it_away(objective, rate):
    corpus = text_of([[2, 3] * 40] * 50)  # two words alone, and a root that all pass
    made = learned(corpus, method="batched", objective=objective, epochs=3, learning_rate=rate)
    assert 0 < np.abs(made.matrix).max() < 3


@pytest.mark.parametrize("method", METHODS)
def test_vectors_that_run_away_are_not_handed_out(method, monkeypatch):
    monkeypatch.setattr(EmbeddingConfig, "rate", lambda self, share: math.inf)
    with pytest.raises(TrainingError, match="beyond all bounds"):
        learned(two_topics(20), method=method, epochs=1)


def test_knobs_that_cannot_be_are_refused_together():
    with pytest.raises(ConfigError) as caught:
        EmbeddingConfig(size=0, epochs=1, minutes=1, negatives=3, objective="hierarchical", learning_rate=7)
    for words in ("--size", "--epochs and --minutes", "--negatives is for", "--learning-rate"):
        assert words in str(caught.value)


# ── files ───────────────────────────────────────────────────────────────────────────────────────

VECTORS = WordVectors(
    ["老师", "a b", "x\\y", "<EOS>"],
    np.array([[1.5, -2e-30, 1 / 3], [0, 0, 0], [3e38, -1, 0.1], [1, 2, 3]], dtype=np.float32),
)


@pytest.mark.parametrize("name", ["v.txt", "v.bin"])
def test_a_file_gives_back_every_word_and_every_bit(tmp_path, name):
    formats.write(VECTORS, tmp_path / name)
    again = formats.read(tmp_path / name)
    assert again.words == VECTORS.words
    np.testing.assert_array_equal(again.matrix, VECTORS.matrix)
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    assert formats.read(packed).words == VECTORS.words


def test_files_of_other_programs_are_read(tmp_path):
    def of(content, name="v.txt"):
        (tmp_path / name).write_bytes(content)
        found = formats.read(tmp_path / name)
        return found.words, found.matrix.tolist()

    expected = (["a", "师"], [[1.0, 2.0], [3.0, 4.5]])
    assert of("2 2\na 1 2 \n师 3 4.5 \n".encode()) == expected  # word2vec and fastText end a line with a space
    assert of("\ufeff2 2\r\na 1 2\r\n师 3 4.5\r\n".encode()) == expected
    assert of("a 1 2\n师 3 4.5\n".encode()) == expected  # GloVe has no first line
    numbers = np.array([[1, 2], [3, 4.5]], dtype="<f4")
    first, second = (row.tobytes() for row in numbers)
    assert of(b"2 2\na " + first + "师 ".encode() + second, "v.bin") == expected  # gensim has no line ends
    assert of(b"2 2\na " + first + b"\n" + "师 ".encode() + second + b"\n", "w.bin") == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["holds no vectors"]),
        (b"2 2\n", [":1:", "ends after 0 of the 2"]),
        (b"0 5\n", [":1:"]),
        (b"999999999999 999999\n", [":1:", "fill any memory"]),
        (b"2 2\na 1 2\n", [":2:", "ends after 1 of the 2"]),
        (b"2 2\na 1 2\nb 3 4", [":3:", "cut short"]),
        (b"1 2\na 1 2\nb 3 4\n", [":3:", "more than the 1 vectors"]),
        (b"2 3\na 1 2\nb 3 4\n", [":2:", "2 numbers", "3 are expected"]),
        (b"2 2\na 1 2\nb c 3 4\n", [":3:", "3 numbers", "2 are expected"]),
        (b"a 1 2\nb 3\n", [":2:", "1 numbers"]),
        (b"2 2\na 1 x\nb 3 4\n", [":2:", "'x' is no number", "no number"]),
        (b"2 2\na 1 nan\nb 3 4\n", [":2:", "not finite"]),
        (b"2 2\na 1 1e39\nb 3 4\n", [":2:", "not finite"]),
        (b"2 2\na 1 2\na 3 4\n", [":3:", "'a'", "second time"]),
        (b"2 2\na 1 2\n\xff 3 4\n", [":3:", "not UTF-8"]),
        (b"2 2\n 1 2\nb 3 4\n", [":2:", "without a word"]),
        (b"2 2\na 1 2\n\\u{110000} 3 4\n", [":3:", "no word"]),
        (b"hello\n", [":1:", "no vector"]),
    ],
)
def test_a_text_file_that_is_wrong_is_refused_with_its_line(tmp_path, content, words):
    (tmp_path / "v.txt").write_bytes(content)
    with pytest.raises(VectorsError) as caught:
        formats.read(tmp_path / "v.txt")
    for word in ("v.txt", *words):
        assert word in str(caught.value)
    assert caught.value.hint


ONE = np.ones(2, dtype="<f4").tobytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", [":1:", "WORDS SIZE"]),
        (b"a 1 2 3\n", [":1:", "WORDS SIZE"]),
        (b"2 2\na " + ONE + b"\nb " + ONE[:5], ["word 2 of 2", "within its numbers"]),
        (b"2 2\na " + ONE + b"\n", ["after 1 of 2"]),
        (b"1 2\na " + ONE + b"\nb " + ONE, ["more follows"]),
        (b"2 2\na " + ONE + b"\na " + ONE, ["word 2", "second time"]),
        (b"2 2\na " + ONE + b"\n\xff\xfe " + ONE, ["word 2", "not UTF-8"]),
        (b"1 2\na " + np.array([1, np.inf], dtype="<f4").tobytes(), ["word 1", "not finite"]),
        (b"1 2\n" + b"a" * 20000, ["word 1", "no end"]),
    ],
)
def test_a_binary_file_that_is_wrong_is_refused_with_its_word(tmp_path, content, words):
    (tmp_path / "v.bin").write_bytes(content)
    with pytest.raises(VectorsError) as caught:
        formats.read(tmp_path / "v.bin")
    for word in ("v.bin", *words):
        assert word in str(caught.value)


def test_a_binary_file_under_the_name_of_a_text_is_told_its_name(tmp_path):
    (tmp_path / "v.txt").write_bytes(b"1 2\na " + np.array([1, 0], dtype="<f4").tobytes() + b"\n")
    with pytest.raises(VectorsError) as caught:
        formats.read(tmp_path / "v.txt")
    assert ".bin" in caught.value.hint


def test_no_damage_to_a_file_ends_in_anything_but_a_sentence(tmp_path):
    draw = random.Random(11)
    for name in ("v.txt", "v.bin"):
        formats.write(VECTORS, tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        for _ in range(300):
            damaged = bytearray(whole[: draw.randrange(len(whole))] if draw.random() < 0.3 else whole)
            for _ in range(draw.randrange(4)):
                if damaged:
                    damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            (tmp_path / name).write_bytes(damaged)
            try:
                read = formats.read(tmp_path / name)
                assert len(read.words) == len(read.matrix)
            except VectorsError:
                pass


# ── answers ─────────────────────────────────────────────────────────────────────────────────────

CAPITALS = WordVectors(
    ["北京", "中国", "东京", "日本", "香蕉", "北海"],
    np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1.0], [0, 0, 1], [-1, -1, -1], [0, 0, 0]], dtype=np.float32),
)


def test_neighbours_stand_by_cosine_without_the_word_itself():
    near = neighbours.nearest(CAPITALS, ["北京"], 2)
    assert near[0][0] == "中国" and near[0][1] == pytest.approx(1 / math.sqrt(2))
    assert len(neighbours.nearest(CAPITALS, ["北京"], 99)) == 5
    assert neighbours.nearest(CAPITALS, ["北京", "东京"], 1)[0][0] in ("中国", "日本")


def test_what_is_to_the_third_as_the_second_to_the_first():
    (word, cosine), *_ = neighbours.analogy(CAPITALS, "北京", "中国", "东京")
    goal = np.array([1, 0, 0]) - np.array([1, 1, 0]) / math.sqrt(2) + np.array([0, 1, 1]) / math.sqrt(2)
    assert word == "日本" and cosine == pytest.approx(goal[2] / np.linalg.norm(goal))
    assert not {"北京", "中国", "东京"} & {found for found, _ in neighbours.analogy(CAPITALS, "北京", "中国", "东京")}


def test_a_word_without_a_vector_is_offered_what_is_spelled_like_it():
    with pytest.raises(VectorsError) as caught:
        neighbours.nearest(CAPITALS, ["北京市"])
    assert "北京市" in str(caught.value) and caught.value.hint == "did you mean 北京?"
    english = WordVectors(["teacher", "reader", "the"], np.eye(3, dtype=np.float32))
    assert english.spellings("techer") == ["teacher"] and english.spellings("zzzzz") == []
    assert english.spellings("each") == ["teacher"]
    assert CAPITALS.spellings("在北京大学") == ["北京"]


def test_the_plane_keeps_the_distances_of_points_that_lie_in_it():
    flat, share = plane.points(CAPITALS, ["北京", "中国", "东京", "日本", "北京"])
    assert flat.shape == (4, 2) and 0 < share <= 1
    three = WordVectors(["a", "b", "c"], np.eye(3, dtype=np.float32))
    flat, share = plane.points(three, ["a", "b", "c"])
    distances = [np.linalg.norm(flat[one] - flat[other]) for one in range(3) for other in range(one)]
    assert share == pytest.approx(1) and distances == pytest.approx([math.sqrt(2)] * 3)
    with pytest.raises(VectorsError, match="one word"):
        plane.points(three, ["a", "a"])


def test_a_picture_of_chinese_words_without_a_font_shows_numbers_and_says_so(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(plane, "FONTS", ())
    flat, share = plane.points(CAPITALS, CAPITALS.words)
    remark = plane.picture(CAPITALS.words, flat, share, tmp_path / "p.png")
    assert remark is not None and "font" in remark
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert plane.picture(["a", "b"], flat[:2], share, tmp_path / "q.png") is None


# ── from counts ─────────────────────────────────────────────────────────────────────────────────


def informed(documents: list[list[int]], tokens: int) -> np.ndarray:
    """Positive pointwise mutual information, pair by pair, all tokens being contexts."""
    near = np.zeros((tokens, tokens))
    for document in documents:
        ids = [*document, 0]
        for here, there in ((a, b) for a in range(len(ids)) for b in range(a + 1, min(a + 6, len(ids)))):
            near[ids[here], ids[there]] += (6 - (there - here)) / 5
    for other in documents[1:]:  # the end of a document stands beside what begins the next one
        for apart, token in enumerate([*other, 0][:5], 1):
            near[0, token] += (6 - apart) / 5
    near = near + near.T
    words, contexts = near.sum(1), near.sum(0) ** 0.75
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(near * contexts.sum() / np.outer(words, contexts))
    return np.where(near > 0, np.maximum(found, 0), 0)


def test_vectors_from_counts_are_the_factors_of_what_neighbours_say_of_each_other():
    drawn = random.Random(1)
    documents = [[drawn.randint(2, 39) for _ in range(drawn.randint(3, 12))] for _ in range(60)]
    found = counted.vectors_from_counts([(text_of(documents), 1.0)], 40, 12)
    left, sizes, _ = np.linalg.svd(informed(documents, 40))
    rows = left[:, :12] * np.sqrt(sizes[:12])
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    seen = [0, *range(2, 40)]
    np.testing.assert_allclose((found @ found.T)[np.ix_(seen, seen)], (rows @ rows.T)[np.ix_(seen, seen)], atol=2e-3)
    assert not found[1].any(), "what was never seen has no vector"
    np.testing.assert_array_equal(found, counted.vectors_from_counts([(text_of(documents), 1.0)], 40, 12))


def test_words_of_the_same_places_are_alike_and_a_text_counts_by_its_weight(monkeypatch):
    animals, fruits = (2, 3, 4), (5, 6, 7)
    here = [[8, animal, 9, 10] for animal in animals] * 20 + [[11, fruit, 12, 13] for fruit in fruits] * 20
    vectors = counted.vectors_from_counts([(text_of(here), 1.0)], 20, 4)
    assert vectors[2] @ vectors[3] > 0.9 > 0.5 > vectors[2] @ vectors[5]
    swapped = [[8, fruit, 9, 10] for fruit in fruits] * 20 + [[11, animal, 12, 13] for animal in animals] * 20
    mixed = [(text_of(here), 1.0), (text_of(swapped), 0.001)]
    assert (counted.vectors_from_counts(mixed, 20, 4)[2] @ counted.vectors_from_counts(mixed, 20, 4)[5]) < 0.9
    alike = [(text_of(here), 1.0), (text_of(swapped), 1.0)]
    both = counted.vectors_from_counts(alike, 20, 4)
    assert both[2] @ both[5] > 0.99, "as often in either place"
    monkeypatch.setattr(counted, "BLOCK", 40)
    monkeypatch.setattr(counted, "MOST_TOKENS", 160)
    whole, blocks = text_of(here).ids, [*counted._blocks(text_of(here))]
    assert len(blocks) == 4, "as many as are let, of fifteen"
    for start, block in zip((0, 120, 280, 440), blocks, strict=True):
        np.testing.assert_array_equal(block, whole[start : start + 40])


def test_the_contexts_of_a_large_vocabulary_are_its_frequent_tokens(monkeypatch):
    drawn = random.Random(2)
    documents = [[drawn.choice([2, 3, 4, 5, 6, drawn.randint(7, 99)]) for _ in range(8)] for _ in range(200)]
    monkeypatch.setattr(counted, "MOST_CELLS", 1000)
    vectors = counted.vectors_from_counts([(text_of(documents), 1.0)], 100, 5)
    assert vectors.shape == (100, 5) and np.isfinite(vectors).all()
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths[lengths > 0], 1, rtol=1e-5)
    assert (lengths[7:] > 0).sum() > 80
