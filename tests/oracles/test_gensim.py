"""gensim reads our files of word vectors, we read gensim's, and both say the same of them.

gensim is a part of the extra `oracles`: pip install 'charlm[oracles]'.
"""

import warnings

import numpy as np
import pytest

from charlm.embedding import formats, neighbours
from charlm.embedding.vectors import WordVectors
from charlm.text.vocab import escape

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    models = pytest.importorskip("gensim.models", reason="gensim is not installed: pip install 'charlm[oracles]'")

WORDS = ["老师", "学生", "the", "é", "—", "北京", "\\"]


@pytest.fixture
def vectors():
    return WordVectors(WORDS, np.random.default_rng(2).normal(0, 1, (len(WORDS), 9)).astype(np.float32))


@pytest.mark.parametrize("name", ["v.txt", "v.bin"])
def test_gensim_reads_our_file_to_the_last_bit_and_finds_the_same_neighbours(tmp_path, vectors, name):
    formats.write(vectors, tmp_path / name)
    theirs = models.KeyedVectors.load_word2vec_format(tmp_path / name, binary=name.endswith(".bin"))
    assert theirs.index_to_key == [*WORDS[:-1], "\\u{5c}"]  # as vocab.tsv writes what could be taken for an escape
    np.testing.assert_array_equal(theirs.vectors, vectors.matrix)
    for ours, expected in (
        (neighbours.nearest(vectors, ["老师"], 3), theirs.most_similar("老师", topn=3)),
        (
            neighbours.analogy(vectors, "北京", "the", "学生", 3),
            theirs.most_similar(positive=["the", "学生"], negative=["北京"], topn=3),
        ),
    ):
        assert [escape(word) for word, _ in ours] == [word for word, _ in expected]
        np.testing.assert_allclose([cosine for _, cosine in ours], [cosine for _, cosine in expected], atol=1e-6)


@pytest.mark.parametrize("name", ["v.txt", "v.bin"])
def test_we_read_the_file_of_gensim(tmp_path, vectors, name):
    theirs = models.KeyedVectors(9)
    theirs.add_vectors(WORDS, vectors.matrix)
    theirs.save_word2vec_format(tmp_path / name, binary=name.endswith(".bin"))
    ours = formats.read(tmp_path / name)
    assert ours.words == WORDS
    np.testing.assert_array_equal(ours.matrix, vectors.matrix)
