"""Counting n-grams: the same as a Counter of tuples, whatever the memory, the pieces and the shards."""

import mmap
import pickle
import subprocess
import sys
from collections import Counter
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import codec_of

from charlm import memory
from charlm.errors import TextError, TrainingError
from charlm.ngrams import adding, columns, countfiles, counting
from charlm.ngrams.columns import scratch_folder
from charlm.ngrams.counting import SortedPairs, build_level, count, merge
from charlm.ngrams.counts import CountLevel, Counts
from charlm.text.vocab import EOS

V = 6  # <EOS>, <UNK> and four words
DOCUMENTS = st.lists(st.lists(st.integers(1, V - 1), max_size=7).map(lambda words: [*words, EOS]), max_size=7)
ORDERS = st.integers(1, 5)


def in_memory(counts: Counts) -> Counts:
    """The same counts, which no longer need their files."""
    return Counts(
        counts.vocab_size, [CountLevel(*(part[:] for part in vars(level).values())) for level in counts.levels]
    )


def counted(documents, order=3, *, carried=False, vocab_size=V, memory=1 << 20, report=None) -> Counts:
    ids = np.array([token for document in documents for token in document], dtype=np.uint32)
    lengths = [len(document) for document in documents]
    beginnings = np.zeros(1, dtype=np.int64) if carried else np.cumsum([0, *lengths])[:-1]
    with scratch_folder() as scratch:
        return in_memory(count(ids, beginnings, vocab_size, order, memory=memory, scratch=scratch, report=report))


def added(*parts: tuple[Counts, int]) -> Counts:
    with scratch_folder() as scratch:
        return in_memory(adding.add(parts, scratch))


def joined(lists) -> list:
    return list(chain.from_iterable(lists))


def naive(documents, order, *, carried=False) -> list[Counter]:
    """What was seen, by definition: n-grams end at a token, and reach back to the <EOS> before their document."""
    found = [Counter() for _ in range(order)]
    for text in [joined(documents)] if carried else documents:
        read = [EOS, *text]
        for end in range(2, len(read) + 1):
            for n in range(1, min(order, end) + 1):
                found[n - 1][tuple(read[end - n : end])] += 1
    return found


def spelled(counts: Counts) -> list[list[tuple[int, ...]]]:
    """The n-grams of each order, in the order in which they stand."""
    orders, contexts = [], [()]
    for level in counts.levels:
        words = level.words[:].tolist()
        families = zip(contexts, pairwise(level.starts[:].tolist()), strict=True)
        contexts = [(*context, word) for context, (first, last) in families for word in words[first:last]]
        assert len(contexts) == len(words)
        orders.append(contexts)
    return orders


def as_counters(counts: Counts) -> list[dict]:
    """N-grams and how often they were seen; those of order 1 that never were are left out."""
    pairs = zip(spelled(counts), counts.levels, strict=True)
    return [
        {gram: number for gram, number in zip(grams, level.counts.tolist(), strict=True) if number or len(gram) > 1}
        for grams, level in pairs
    ]


def same(one: Counts, other: Counts) -> bool:
    """Whether counts are alike to the last bit, types of numbers included."""
    pairs = [
        (mine, theirs)
        for a, b in zip(one.levels, other.levels, strict=True)
        for mine, theirs in zip(vars(a).values(), vars(b).values(), strict=True)
    ]
    return all(mine.dtype == theirs.dtype and np.array_equal(mine, theirs) for mine, theirs in pairs)


@pytest.fixture
def tiny_blocks(monkeypatch):
    """Everything that is worked on in blocks comes in blocks of three."""
    for function in (columns.blocks, columns.family_blocks, merge):
        monkeypatch.setattr(function, "__defaults__", (3,))


# ── laws ────────────────────────────────────────────────────────────────────────────────────────


@given(documents=DOCUMENTS, order=ORDERS, carried=st.booleans())
def test_counts_are_those_of_a_counter_of_tuples(documents, order, carried):
    counts = counted(documents, order, carried=carried)
    assert as_counters(counts) == naive(documents, order, carried=carried)


@given(documents=DOCUMENTS, order=ORDERS)
def test_n_grams_stand_sorted_and_know_where_their_last_tokens_stand(documents, order):
    counts = counted(documents, order)
    orders = spelled(counts)
    assert orders[0] == [(token,) for token in range(V)]
    for below, grams, level in zip(orders, orders[1:], counts.levels[1:], strict=False):
        assert grams == sorted(set(grams))
        assert [below[number] for number in level.suffixes] == [gram[1:] for gram in grams]


@given(documents=DOCUMENTS, order=ORDERS, carried=st.booleans(), piece=st.integers(1, 12))
@settings(max_examples=20)
def test_many_pieces_give_the_counts_of_one_to_the_last_bit(documents, order, carried, piece):
    whole = counted(documents, order, carried=carried)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "SMALLEST_PIECE", piece)
        assert same(counted(documents, order, carried=carried, memory=0), whole)
        for function in (columns.blocks, columns.family_blocks, merge):
            patch.setattr(function, "__defaults__", (2,))
        assert same(counted(documents, order, carried=carried, memory=0), whole)


def test_the_pieces_are_as_large_as_the_memory_that_is_left_allows(monkeypatch):
    sizes = []
    distinct = counting.distinct
    monkeypatch.setattr(counting, "SMALLEST_PIECE", 4)
    monkeypatch.setattr(counting, "distinct", lambda keys: sizes.append(len(keys)) or distinct(keys))
    monkeypatch.setattr(counting, "merge", lambda runs, size: iter(()))
    monkeypatch.setattr("charlm.memory.held", lambda: 1000)
    text = [[2, 3, 4, 5, 2, 3, 4, 5, 2, EOS]]
    for budget, expected in [(0, [4, 4, 2]), (1000 + 7 * counting.TOKEN_BYTES, [7, 3]), (1 << 20, [10])]:
        sizes.clear()
        counted(text, 2, memory=budget)
        assert sizes == expected


@given(shards=st.lists(DOCUMENTS, min_size=1, max_size=4), order=ORDERS)
@settings(max_examples=20)
def test_counts_of_shards_add_to_the_counts_of_the_whole_to_the_last_bit(shards, order):
    parts = [(counted(shard, order), 1) for shard in shards]
    assert same(added(*parts), counted(joined(shards), order))
    assert same(added(*reversed(parts)), added(*parts))


@given(kept=st.lists(DOCUMENTS, min_size=1, max_size=3), gone=st.lists(DOCUMENTS, max_size=2), order=ORDERS)
@settings(max_examples=20)
def test_taking_a_shard_away_is_never_having_counted_it(kept, gone, order):
    plus = [(counted(shard, order), 1) for shard in [*kept, *gone]]
    minus = [(counted(shard, order), -1) for shard in gone]
    assert same(added(*plus, *minus), counted(joined(kept), order))


@given(documents=DOCUMENTS, order=ORDERS)
@settings(max_examples=15)
def test_taking_everything_away_leaves_nothing(documents, order):
    counts = counted(documents, order)
    assert as_counters(added((counts, 1), (counts, -1))) == [{}] * order


@given(documents=DOCUMENTS, more=DOCUMENTS, order=ORDERS, carried=st.booleans())
@settings(max_examples=20)
def test_adding_text_never_lowers_a_count(documents, more, order, carried):
    before = as_counters(counted(documents, order, carried=carried))
    after = as_counters(counted(documents + more, order, carried=carried))
    for fewer, grown in zip(before, after, strict=True):
        assert all(grown.get(gram, 0) >= number for gram, number in fewer.items())


def test_shards_add_in_blocks_as_they_do_at_once(tiny_blocks):
    shards = [[[2, 3, 4, EOS], [4, 4, EOS]], [[2, 3, EOS], [5, 4, 3, 2, EOS]], [[3, 3, 3, 3, EOS]]]
    counts = [counted(shard, 4) for shard in shards]
    assert as_counters(added(*((part, 1) for part in counts))) == naive(joined(shards), 4)
    left = added(*((part, 1) for part in counts), (counts[1], -1))
    assert as_counters(left) == naive(shards[0] + shards[2], 4)


@given(documents=DOCUMENTS, order=ORDERS)
@settings(max_examples=10)
def test_counts_on_the_disk_are_the_counts(documents, order, tmp_path_factory):
    counts, codec = counted(documents, order), codec_of("abcd")
    path = tmp_path_factory.mktemp("counts") / "c"
    countfiles.save(path, codec, counts, {"context": "line"})
    with scratch_folder() as scratch:
        found = countfiles.load(path, scratch)
        assert same(in_memory(found.counts), counts)
    assert found.codec.fingerprint() == codec.fingerprint()
    assert (found.facts["order"], found.carried) == (order, False)


# ── merging ─────────────────────────────────────────────────────────────────────────────────────

RUNS = st.lists(st.dictionaries(st.integers(0, 30), st.integers(-9, 9), max_size=12), min_size=1, max_size=4)


@given(runs=RUNS, size=st.integers(1, 5))
def test_runs_merge_into_sorted_sums_and_know_where_their_pairs_came_to_stand(runs, size):
    expected = sum((Counter({key: 0 for key in run}) for run in runs), Counter())
    for run in runs:
        expected.update(run)  # not +, which drops what is below 1
    ready = [
        SortedPairs(
            np.array(sorted(run), dtype=np.uint64),
            np.array([run[key] for key in sorted(run)], dtype=np.int64),
            np.array([key + 7 for key in sorted(run)], dtype=np.uint32),
        )
        for run in runs
    ]
    blocks = list(merge(ready, size))
    keys = [key for block in blocks for key in block.keys.tolist()]
    assert keys == sorted(expected)
    assert [number for block in blocks for number in block.counts.tolist()] == [expected[key] for key in keys]
    assert [number for block in blocks for number in block.suffixes.tolist()] == [key + 7 for key in keys]
    for place, run in enumerate(ready):
        ranks = [rank for block in blocks for rank in block.ranks[place].tolist()]
        assert [keys[rank] for rank in ranks] == run.keys.tolist()


@given(documents=DOCUMENTS, order=ORDERS, piece=st.integers(1, 3), at_once=st.integers(2, 3))
@settings(max_examples=20)
def test_runs_merged_in_passes_give_the_counts_of_one_pass_to_the_last_bit(documents, order, piece, at_once):
    whole = counted(documents, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "SMALLEST_PIECE", piece)
        patch.setattr(counting, "MOST_RUNS", at_once)
        patch.setattr(counting, "FEWEST_PAIRS", 4)
        assert same(counted(documents, order, memory=0), whole)


def test_what_a_merge_holds_at_once_does_not_grow_with_the_number_of_runs(monkeypatch):
    sizes = []
    distinct = counting.distinct
    monkeypatch.setattr(counting, "distinct", lambda keys: sizes.append(len(keys)) or distinct(keys))
    numbers = np.random.default_rng(1)
    runs = [
        SortedPairs(np.unique(numbers.integers(0, 5000, 400)).astype(np.uint64), *np.ones((2, 400), dtype=np.int64))
        for _ in range(40)
    ]
    with scratch_folder() as scratch:
        build_level(runs, 1000, V, scratch, 200)
        monkeypatch.setattr(counting, "MOST_RUNS", 7)
        build_level(runs, 1000, V, scratch, 200)
    assert max(sizes) <= 200


def test_the_budget_is_what_is_held_now_and_not_the_most_that_was_ever_held():
    before = memory.held()
    large = mmap.mmap(-1, 32 << 20)  # not from the heap, which may hold freed pages already and keeps them
    for page in range(0, len(large), mmap.PAGESIZE):  # page by page: 32 MiB to copy from would come from the heap
        large[page] = 1
    assert memory.held() >= before + (24 << 20)
    large.close()
    assert memory.held() < before + (16 << 20)


MANY_RUNS = """
import resource, sys
import numpy as np
from charlm.ngrams import adding, counting
from charlm.ngrams.columns import scratch_folder

resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
ids = np.random.default_rng(0).integers(0, 9, 3000).astype(np.uint16)
beginnings = np.arange(0, 3000, 30)

def parts(counts):
    return [part[:] for level in counts.levels for part in vars(level).values()]

def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(parts(one), parts(other), strict=True))

with scratch_folder() as scratch:
    whole = counting.count(ids, beginnings, 9, 3, memory=1 << 40, scratch=scratch)
    counting.SMALLEST_PIECE = 10
    assert same(counting.count(ids, beginnings, 9, 3, memory=0, scratch=scratch), whole)
    shards = []
    for first in range(0, 3000, 30):
        ones = counting.count(ids[first : first + 30], np.zeros(1, dtype=np.int64), 9, 3, memory=0, scratch=scratch)
        shards.append((ones, 1))
    assert same(adding.add(shards, scratch), whole)
print("alike")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of open files to lower")
def test_hundreds_of_runs_and_shards_need_few_open_files():
    done = subprocess.run([sys.executable, "-c", MANY_RUNS], capture_output=True, text=True, timeout=300)
    assert done.stdout == "alike\n", done.stderr


def test_counts_travel_to_another_process_without_their_files(tmp_path):
    codec, ids, beginnings = codec_of("abcd"), np.array([2, 3, 4, EOS]), np.zeros(1, dtype=np.int64)
    with scratch_folder() as scratch:
        counts = count(ids, beginnings, V, 3, memory=0, scratch=scratch)
        assert isinstance(counts.levels[1].words, columns.Column)
        travelled = [pickle.dumps(counts)]
        countfiles.save(tmp_path / "c", codec, counts, {"context": "line"})
        travelled.append(pickle.dumps(countfiles.load(tmp_path / "c", scratch).counts))
    for one in travelled:
        assert same(pickle.loads(one), counted([[2, 3, 4, EOS]], 3))


def test_what_counts_are_of_is_known_without_reading_them(tmp_path, monkeypatch):
    codec = codec_of("abcd")
    countfiles.save(tmp_path / "c", codec, counted([[2, 3, EOS]], carried=True), {"context": "carried"})
    monkeypatch.setattr(countfiles.tensorfiles, "map_rows", None)
    monkeypatch.setattr(countfiles, "_from_text", None)
    found, carried, _ = countfiles.about(tmp_path / "c")
    assert found.fingerprint() == codec.fingerprint() and carried
    (tmp_path / "c" / countfiles.COUNTS_FILE).unlink()
    assert not countfiles.about(tmp_path / "c")[1]


def test_no_runs_merge_into_nothing():
    assert list(merge([])) == []


def test_more_n_grams_than_can_be_numbered_are_refused(monkeypatch):
    keys = np.arange(6, dtype=np.uint64)
    run = SortedPairs(keys, np.ones(6, dtype=np.int64), np.zeros(6, dtype=np.uint32))
    monkeypatch.setattr(counting, "NONE", np.uint32(6))
    with scratch_folder() as scratch:
        build_level([run], 1, V, scratch)
        monkeypatch.setattr(counting, "NONE", np.uint32(5))
        with pytest.raises(TrainingError, match="4,294,967,294 different n-grams") as caught:
            build_level([run], 1, V, scratch)
    assert "--order" in caught.value.hint


# ── by hand ─────────────────────────────────────────────────────────────────────────────────────


def test_two_lines_by_hand():
    # "ab" and "a"
    counts = counted([[2, 3, EOS], [2, EOS]], 3, vocab_size=4)
    assert counts.levels[0].counts.tolist() == [2, 0, 2, 1]
    assert as_counters(counts)[1] == {(EOS, 2): 2, (2, EOS): 1, (2, 3): 1, (3, EOS): 1}
    assert as_counters(counts)[2] == {(EOS, 2, EOS): 1, (EOS, 2, 3): 1, (2, 3, EOS): 1}
    assert counts.levels[1].starts.tolist() == [0, 1, 1, 3, 4]
    assert counts.levels[1].words.tolist() == [2, EOS, 3, EOS]


def test_the_opening_eos_begins_n_grams_but_is_never_predicted():
    counts = as_counters(counted([[2, EOS], [2, 3, EOS], [EOS]], 3))
    assert counts[0][EOS,] == 3  # the closing ones, one for each line
    assert {gram: n for gram, n in counts[1].items() if gram[0] == EOS} == {(EOS, 2): 2, (EOS, EOS): 1}
    assert {gram for gram in counts[2] if gram[0] == EOS} == {(EOS, 2, EOS), (EOS, 2, 3)}
    assert not [gram for gram in counts[2] if gram[1] == EOS]


def test_carried_n_grams_go_on_over_the_line_ends():
    counts = as_counters(counted([[2, EOS], [3, EOS]], 3, carried=True))
    assert counts[2] == {(EOS, 2, EOS): 1, (2, EOS, 3): 1, (EOS, 3, EOS): 1}
    assert as_counters(counted([[2, EOS], [3, EOS]], 3))[2] == {(EOS, 2, EOS): 1, (EOS, 3, EOS): 1}


def test_what_was_not_there_cannot_be_taken_away():
    whole = counted([[2, 3, EOS], [4, EOS]])
    for foreign in ([[5, EOS]], [[2, 3, EOS], [2, 3, EOS]], [[3, 2, EOS]], [[2, 3, 4, EOS]]):
        with pytest.raises(TextError, match="more n-grams would be taken away than there are") as caught:
            added((whole, 1), (counted(foreign), -1))
        assert "--without" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "parts"),
    [([[2], [3]], [[3]]), ([[2], [3], [4], [3], [2]], [[3], [3]]), ([[2], [3], [2], [3], [2], [3]], [[3], [3]])],
)
def test_a_part_of_one_carried_text_cannot_be_taken_away_since_what_leads_into_it_would_stay(text, parts):
    # 2 <EOS> 3 was seen in the whole but not in the part: it would stay, and its own last tokens would be seen less.
    whole = counted([[*words, EOS] for words in text], 3, carried=True)
    minus = [(counted([[*words, EOS]], 3, carried=True), -1) for words in parts]
    with pytest.raises(TextError):
        added((whole, 1), *minus)


def test_a_sum_has_the_orders_that_all_of_its_parts_have():
    text, more = [[2, 3, 4, EOS]], [[2, 3, EOS]]
    assert same(added((counted(text, 4), 1), (counted(more, 2), 1)), counted(text + more, 2))
    assert same(added((counted(text, 4), 1), (counted(more, 4), 1), (counted(more, 2), -1)), counted(text, 2))


def test_counts_alone_are_their_own_sum():
    counts = counted([[2, 3, EOS]])
    assert same(added((counts, 1)), counts)


@pytest.mark.parametrize(("vocab_size", "dtype"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_words_are_stored_in_two_bytes_as_long_as_they_fit(vocab_size, dtype):
    last = vocab_size - 1
    text = [[last, 2, last, last, EOS], [2, EOS]]
    counts = counted(text, 3, vocab_size=vocab_size)
    assert all(level.words.dtype == dtype for level in counts.levels)
    assert as_counters(counts) == naive(text, 3)
    assert as_counters(added((counts, 1), (counts, 1))) == naive(text + text, 3)


def test_empty_lines_are_bigrams_of_two_line_ends():
    assert as_counters(counted([[EOS], [EOS]], 3)) == [{(EOS,): 2}, {(EOS, EOS): 2}, {}]
    assert as_counters(counted([[EOS], [EOS]], 3, carried=True))[2] == {(EOS, EOS, EOS): 1}


def test_documents_without_any_token_change_nothing():
    text = [[2, 3], [3, 2]]  # nothing closes them: so are the pieces of a stream
    assert same(counted([[], *text[:1], [], [], *text[1:], []]), counted(text))


@pytest.mark.parametrize("order", [1, 2, 5])
def test_no_text_at_all_has_no_n_grams(order):
    for documents in ([], [[]], [[], []]):
        counts = counted(documents, order)
        assert as_counters(counts) == [{}] * order
        assert counts.levels[0].counts.tolist() == [0] * V


def test_one_token_is_a_unigram_and_a_bigram():
    assert as_counters(counted([[2]], 4)) == [{(2,): 1}, {(EOS, 2): 1}, {}, {}]


def test_orders_above_the_longest_line_are_there_and_empty_and_can_be_left_out():
    counts = counted([[2, EOS], [3, EOS]], 20)
    assert counts.order == 20
    assert [len(level.counts) for level in counts.levels] == [V, 4, 2, *[0] * 17]
    assert counts.upto(20).order == counts.upto(3).order == 3
    assert counts.upto(2).order == 2
    assert counted([[]], 4).upto(4).order == 1


def test_each_order_is_reported_when_it_is_done():
    orders = []
    counted([[2, 3, EOS]], 4, report=orders.append)
    assert orders == [2, 3, 4]


def test_the_scratch_folder_is_empty_afterwards(own_cache):
    counted([[2, 3, EOS]], 4)
    assert list(own_cache.iterdir()) == []


def test_a_missing_file_is_not_blamed_on_the_scratch_folder():
    with pytest.raises(FileNotFoundError, match="elsewhere"), scratch_folder():
        raise FileNotFoundError(2, "No such file", "elsewhere")
