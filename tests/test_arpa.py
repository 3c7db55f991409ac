"""ARPA files: what is read, what is written, and what is wrong with a file that is neither.

Base-10 logarithms exist only in these files; 1 in a file is 2.302585 nats.
"""

import io
import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.errors import ArpaError
from charlm.ngrams.arpa.flaws import LONGEST_LINE
from charlm.ngrams.arpa.layout import LN10, Arpa
from charlm.ngrams.arpa.reading import read
from charlm.ngrams.arpa.writing import write

MODEL = """\
\\data\\
ngram 1=4
ngram 2=4
ngram 3=2

\\1-grams:
-99\t<s>\t-0.5
-0.5\t</s>
-0.25\t春\t-0.125
-1\t江\t0.25

\\2-grams:
-0.5\t<s> 春\t-0.25
-0.75\t春 江
-1\t江 </s>\t0
-1.5\t春 </s>

\\3-grams:
-0.125\t<s> 春 江
-2\t春 江 </s>

\\end\\
"""
WORDS = ["<s>", "</s>", "春", "江"]
BIGRAMS = [[0, 2], [2, 3], [3, 1], [2, 1]]
TRIGRAMS = [[0, 2, 3], [2, 3, 1]]


def edited(changes: dict[int, str | None], text: str = MODEL) -> str:
    """The text with other lines at some numbers, from 1; None takes a line out."""
    lines = {number: line for number, line in enumerate(text.splitlines(), 1)} | changes
    return "".join(f"{line}\n" for _, line in sorted(lines.items()) if line is not None)


def reading(content: str | bytes, **options) -> Arpa:
    data = content.encode() if isinstance(content, str) else content
    return read(io.BytesIO(data), "lm.arpa", **options)


def refused(content: str | bytes, **options) -> str:
    """Why a file is refused, and then what to do."""
    with pytest.raises(ArpaError) as caught:
        reading(content, **options)
    assert caught.value.hint
    return f"{caught.value} | {caught.value.hint}"


def repaired(content: str | bytes) -> tuple[Arpa, list[str]]:
    """What lenient reading makes of a file that strict reading refuses, and what it says."""
    refused(content)
    notes: list[str] = []
    arpa = reading(content, lenient=True, note=notes.append)
    return arpa, [note.removeprefix("lm.arpa: ") for note in notes]


def grams(arpa: Arpa) -> list[list[list[int]]]:
    return [order.grams.tolist() for order in arpa.orders]


def log10(arpa: Arpa, n: int) -> list[float]:
    return [round(x, 9) for x in (arpa.orders[n - 1].log_probs / LN10).tolist()]


def backoffs10(arpa: Arpa, n: int) -> list[float]:
    return [round(x, 9) for x in (arpa.orders[n - 1].backoffs / LN10).tolist()]


def is_equal(one: Arpa, other: Arpa) -> bool:
    return (
        one.words == other.words
        and len(one.orders) == len(other.orders)
        and all(
            np.array_equal(a.grams, b.grams)
            and np.array_equal(a.log_probs, b.log_probs)
            and np.array_equal(a.backoffs, b.backoffs)
            for a, b in zip(one.orders, other.orders, strict=True)
        )
    )


# ── laws ────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def models(draw):
    """Words and blocks of a sound model of order 1 to 3; probabilities may be 0."""
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\n\v\f\r ")
    others = st.text(letters, min_size=1, max_size=3).filter(lambda word: word not in ("<s>", "</s>"))
    words = ["<s>", "</s>", *draw(st.lists(others, unique=True, max_size=4))]
    histories, following = [i for i in range(len(words)) if i != 1], range(1, len(words))
    levels = [[(i,) for i in range(len(words))]]
    for n in range(2, draw(st.integers(1, 3)) + 1):
        contexts = [gram for gram in levels[-1] if gram[-1] in histories]
        possible = [(*context, word) for context, word in product(contexts, following)]
        levels.append(draw(st.lists(st.sampled_from(possible), unique=True, max_size=6)) if possible else [])
        assert all(len(gram) == n for gram in levels[-1])
    log_prob = st.floats(-300, 0) | st.just(-np.inf)
    blocks = []
    for n, level in enumerate(levels, 1):
        size = len(level)
        log_probs = np.array(draw(st.lists(log_prob, min_size=size, max_size=size)))
        backoffs = np.array(draw(st.lists(st.floats(-300, 9), min_size=size, max_size=size)))
        blocks.append((np.array(level, dtype=np.int64).reshape(-1, n), log_probs, backoffs * (n < len(levels))))
    return words, blocks


@given(models())
def test_what_is_written_is_read_back(model):
    words, blocks = model
    text = "".join(write(words, [len(log_probs) for _, log_probs, _ in blocks], blocks))
    arpa = reading(text)
    assert arpa.words == words
    for order, (indices, log_probs, backoffs) in zip(arpa.orders, blocks, strict=True):
        assert np.array_equal(order.grams, indices)
        zeros_as_99 = np.where(np.isneginf(log_probs), -99 * LN10, log_probs)
        np.testing.assert_allclose(order.log_probs, zeros_as_99, rtol=1e-6, atol=1e-30)
        np.testing.assert_allclose(order.backoffs, backoffs, rtol=1e-6, atol=1e-30)


def test_a_file_cut_at_any_byte_is_refused_unless_only_its_last_line_end_is_gone():
    whole = MODEL.encode()
    for cut in range(len(whole)):
        if whole[:cut].endswith(b"\\end\\"):
            assert is_equal(reading(whole[:cut]), reading(whole))
        else:
            assert cut < len("\\data\\") or "cut short" in refused(whole[:cut])


def test_lenient_reading_of_a_file_cut_at_any_byte_gives_whole_lines_alone():
    whole = reading(MODEL)
    first = MODEL.encode().index(b"-0.5\n") + len(b"-0.5\n")
    for cut in range(len(MODEL.encode())):
        content = MODEL.encode()[:cut]
        if cut < first:
            refused(content, lenient=True)
            continue
        arpa = reading(content, lenient=True)
        assert arpa.words == whole.words[: len(arpa.words)]
        for order, full in zip(arpa.orders, whole.orders, strict=False):
            assert np.array_equal(order.grams, full.grams[: len(order.grams)])
            assert np.array_equal(order.log_probs, full.log_probs[: len(order.grams)])


def damaged_copies(number: int):
    """Copies of the model with some bytes changed, and some lines moved, doubled or taken out."""
    random_ = random.Random(5)
    for _ in range(number):
        data = bytearray(MODEL.encode())
        for _ in range(random_.choice([1, 1, 2, 3, 8])):
            data[random_.randrange(len(data))] = random_.choice([random_.randrange(256), *b"-.0159\t \n\\<>se_:"])
        lines = bytes(data).splitlines(keepends=True)
        for _ in range(random_.choice([0, 0, 0, 1, 2])):
            line = lines.pop(random_.randrange(len(lines)))
            for _ in range(random_.randrange(3)):
                lines.insert(random_.randrange(len(lines) + 1), line)
        yield b"".join(lines)


def outcome(content: bytes, *, lenient: bool) -> Arpa | None:
    try:
        return reading(content, lenient=lenient)
    except ArpaError:
        return None


@pytest.mark.parametrize("lenient", [False, True])
def test_a_damaged_file_never_fails_in_another_way_and_blank_lines_change_nothing(lenient):
    # Blank lines between n-grams also take the road on which lines are read one by one: both must agree.
    survivors = 0
    for content in damaged_copies(6000):
        at_once = outcome(content, lenient=lenient)
        one_by_one = outcome(content.replace(b"\n", b"\n\n"), lenient=lenient)
        assert (at_once is None) == (one_by_one is None), content
        if at_once and one_by_one:
            survivors += 1
            assert is_equal(at_once, one_by_one), content
            assert all(np.isfinite(order.log_probs).all() for order in at_once.orders)
            assert all((order.log_probs <= 0).all() for order in at_once.orders)
            assert all(np.isfinite(order.backoffs).all() for order in at_once.orders)
    assert survivors > 100  # so that the comparison means something


@pytest.mark.parametrize("lenient", [False, True])
def test_bytes_at_random_are_refused(lenient):
    random_ = random.Random(6)
    for size in (1, 7, 100, 5000):
        refused(random_.randbytes(size), lenient=lenient)
        refused(b"\\data\\\n" + random_.randbytes(size), lenient=lenient)
        refused(b"\\data\\\nngram 1=1\n\\1-grams:\n" + random_.randbytes(size))
        outcome(b"\\data\\\nngram 1=1\n\\1-grams:\n" + random_.randbytes(size), lenient=True)


# ── reading ─────────────────────────────────────────────────────────────────────────────────────


def test_n_grams_come_in_the_order_of_the_file_and_numbers_in_nats():
    arpa = reading(MODEL)
    assert arpa.words == WORDS
    assert grams(arpa) == [[[0], [1], [2], [3]], BIGRAMS, TRIGRAMS]
    assert arpa.orders[1].grams.dtype == np.int64
    assert arpa.orders[0].log_probs.tolist() == [-99 * LN10, -0.5 * LN10, -0.25 * LN10, -1 * LN10]
    assert backoffs10(arpa, 1) == [-0.5, 0, -0.125, 0.25]  # above 0 is legal, and none is 0
    assert backoffs10(arpa, 2) == [-0.25, 0, 0, 0]
    assert backoffs10(arpa, 3) == [0, 0]


def test_a_probability_below_the_stand_in_for_zero_stays():
    assert log10(reading(edited({7: "-120.5\t<s>"})), 1)[0] == -120.5
    assert reading(edited({7: "-120.5\t<s>"})).orders[0].log_probs[0] == -120.5 * LN10


def test_spaces_or_tabs_crlf_a_byte_order_mark_and_blank_lines_change_nothing():
    whole = reading(MODEL)
    assert is_equal(reading(MODEL.replace("\t", " ")), whole)
    assert is_equal(reading(MODEL.replace(" ", "\t").replace("ngram\t", "ngram  ")), whole)
    assert is_equal(reading(MODEL.replace("\n", " \r\n")), whole)
    assert is_equal(reading(b"\xef\xbb\xbf" + MODEL.encode()), whole)
    assert is_equal(reading("\n \r\n" + MODEL.replace("\n", "\n\n") + "\n\n"), whole)
    assert is_equal(reading("".join(line + "\n" for line in MODEL.splitlines() if line)), whole)


def test_lines_may_come_without_their_ends():
    lines = MODEL.encode().splitlines()
    assert is_equal(read(lines, "lm.arpa"), reading(MODEL))
    cut = read(lines[:-4], "lm.arpa", lenient=True)
    assert grams(cut) == [[[0], [1], [2], [3]], BIGRAMS, []]
    assert grams(read(lines[:-3], "lm.arpa", lenient=True))[2] == TRIGRAMS[:1]  # nothing says that this one is cut


def test_white_space_outside_ascii_belongs_to_a_word():
    for space in "\u3000\xa0\u2028\x85\v\f\x1c":
        arpa = reading(MODEL.replace("江", f"a{space}b"))
        assert arpa.words == ["<s>", "</s>", "春", f"a{space}b"]
        assert grams(arpa)[1:] == [BIGRAMS, TRIGRAMS]


def test_orders_without_n_grams_are_there_and_empty():
    arpa = reading("\\data\\\nngram 1=2\nngram 2=0\n\\1-grams:\n-1 <s>\n0 </s>\n\\2-grams:\n\\end\\\n")
    assert grams(arpa) == [[[0], [1]], []]
    assert arpa.orders[1].grams.shape == (0, 2)


def test_a_suffix_may_be_missing():
    arpa = reading(edited({3: "ngram 2=3", 15: None, 18: "\\3-grams:", 19: "-0.1 <s> 春 江", 20: "-0.2 <s> 春 </s>"}))
    assert grams(arpa)[2] == [[0, 2, 3], [0, 2, 1]]


def test_files_longer_than_a_block_keep_their_order_and_their_line_numbers():
    words = ["<s>", "</s>", *(f"w{i}" for i in range(3000))]
    pairs = np.array([(0, i) for i in range(2, 3002)] + [(i, 1) for i in range(2, 3002)])
    numbers = -np.arange(1, 6001) / 1000
    blocks = [(np.arange(3002)[:, None], -np.ones(3002), np.zeros(3002)), (pairs, numbers, None)]
    text = "".join(write(words, [3002, 6000], blocks))
    arpa = reading(text)
    assert arpa.words == words
    assert np.array_equal(arpa.orders[1].grams, pairs)
    np.testing.assert_allclose(arpa.orders[1].log_probs, numbers, rtol=1e-6)
    start = text.splitlines().index("\\2-grams:") + 1
    assert refused(edited({start + 5000: "-1 w7 nowhere"}, text)).startswith(f"lm.arpa:{start + 5000}: ")
    assert refused(edited({start + 5000: "-1 <s> w7"}, text)).startswith(f"lm.arpa:{start + 5000}: ")


# ── another file ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    ("content", "found", "cure"),
    [
        (b"", "found an empty file", "cut short"),
        (b"\n \n", "found only blank lines", "lmplz"),
        (b"\x1f\x8b\x08\x00junk\n", "found gzip data", "this is gzip data; unpack it first: gzip -dc"),
        (b"mmap lm http://kheafield.com/code\n", "found a binary file of KenLM", "build_binary"),
        (b"blmt 3 10 20 30\n", "found a binary file of IRSTLM", "compile-lm"),
        (b"iARPA\n\n\\data\\\n", "found an iARPA file of IRSTLM", "compile-lm"),
        (b"qARPA 2\n\n\\data\\\n", "found a qARPA file of IRSTLM, whose numbers are codes", "quantize-lm"),
        (b"\xff\xfe\\\x00d\x00", "found UTF-16 text", "iconv"),
        (b"PK\x03\x04rest", "found a zip archive", "unzip"),
    ],
)
def test_what_is_no_arpa_file_is_recognised(content, found, cure, lenient):
    message = refused(content, lenient=lenient)
    assert message.startswith("lm.arpa:1: ") or content == b"\n \n"
    assert found in message
    assert cure in message


def test_a_text_without_data_is_named_by_its_first_line():
    message = refused("\n春眠不觉晓\n处处闻啼鸟\n")
    assert message.startswith(r"lm.arpa:2: expected \data\ as the first line, found '春眠不觉晓'")
    message = refused("\n春眠不觉晓\n处处闻啼鸟\n", lenient=True)
    assert message.startswith("lm.arpa:3: expected a line \\data\\, found text that begins with '春眠不觉晓' | ")
    assert "lmplz" in message


def test_codes_are_not_read_as_log_probabilities_where_blank_lines_stand_before_their_mark():
    for before in ("\n", "\ufeff", " "):
        assert "qARPA" in refused(f"{before}qARPA\n" + MODEL, lenient=True)


def test_comments_before_the_data_are_skipped_leniently():
    arpa, notes = repaired("# made by hand\n\n\\1-grams: explained\n" + MODEL)
    assert is_equal(arpa, reading(MODEL))
    assert notes == [r"lines before \data\ left out (2 times, first in line 1)"]


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("number", [1, 3, 6, 8, 15, 22])
def test_an_endless_line_is_refused_wherever_it_stands(number, lenient):
    message = refused(edited({number: "-1\t" + "a" * LONGEST_LINE}), lenient=lenient)
    assert message.startswith(f"lm.arpa:{number}: expected lines of at most 65,536 bytes, found a line too long")
    reading(edited({8: "-0.5 </s>" + " " * (LONGEST_LINE - 10)}))


# ── the header ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    ("changes", "line", "expected"),
    [
        ({3: "ngram 2"}, 3, "expected a line `ngram N=COUNT`, found 'ngram 2'"),
        ({3: "ngram two=4"}, 3, "expected a line `ngram N=COUNT`, found 'ngram two=4'"),
        ({3: "ngram 2=-4"}, 3, "expected a line `ngram N=COUNT`, found 'ngram 2=-4'"),
        ({3: "ngram 2=４"}, 3, "expected a line `ngram N=COUNT`, found 'ngram 2=４'"),
        ({3: "-0.5\t春"}, 3, "expected a line `ngram N=COUNT`"),
        ({2: None, 3: None, 4: None}, 3, "expected a line `ngram N=COUNT`"),
        ({2: "ngram 0=4"}, 2, "expected orders to be declared as 1, 2, 3, …, found 'ngram 0=4'"),
        ({3: None}, 3, "expected orders to be declared as 1, 2, 3, …, found 'ngram 3=2'"),
        ({3: "ngram 1=4"}, 3, "expected orders to be declared as 1, 2, 3, …, found 'ngram 1=4'"),
        ({3: "ngram 2=4294967297"}, 3, "expected at most 4,294,967,296 n-grams of an order"),
        ({3: "ngram 2=" + "9" * 5000}, 3, "expected at most 4,294,967,296 n-grams of an order"),
        ({3: "ngram 21=1"}, 3, "expected an order of at most 20"),
        ({3: "ngram " + "9" * 5000 + "=1"}, 3, "expected an order of at most 20"),
    ],
)
def test_a_header_that_cannot_be_right_is_refused(changes, line, expected, lenient):
    assert refused(edited(changes), lenient=lenient).startswith(f"lm.arpa:{line}: {expected}")


def test_an_absurd_count_is_refused_before_anything_else_is_read():
    def lines():
        yield from (b"\\data\\\n", b"ngram 1=99999999999\n")
        yield from [b"\n"] * 2000
        raise AssertionError("the lines after the first thousand are not needed")

    with pytest.raises(ArpaError, match="expected at most 4,294,967,296 n-grams"):
        read(lines(), "lm.arpa")


def test_a_count_that_lies_costs_nothing():
    assert "found 4 where 4,294,967,296 are declared" in refused(edited({2: "ngram 1=4294967296"}))


# ── sections ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    "header", ["\\3-grams:", "\\1-grams:", "\\2-gram:", "\\2-grams", "\\-grams:", "\\data\\", "\\"]
)
def test_a_section_out_of_order_or_misspelled_is_refused(header, lenient):
    message = refused(edited({12: header}), lenient=lenient)
    assert message.startswith("lm.arpa:12: expected \\2-grams: or \\end\\, found ")


def test_a_missing_section_header_shows_in_the_number_of_fields():
    message = refused(edited({12: None}))
    assert message.startswith("lm.arpa:12: expected a log-probability, the words of a 1-gram and perhaps a backoff")
    assert "a missing line `\\N-grams:`" in message


def test_a_section_that_is_declared_and_missing_is_refused_or_done_without():
    short = {number: None for number in range(18, 22)}
    assert refused(edited(short)).startswith("lm.arpa:18: expected \\3-grams:, found \\end\\")
    arpa, notes = repaired(edited(short))
    assert grams(arpa)[1:] == [BIGRAMS]
    assert backoffs10(arpa, 2) == [0, 0, 0, 0]
    assert notes == [
        r"sections missing that \data\ declares (once, in line 18)",
        "backoffs of the highest order left out (once, in line 12)",
    ]


def test_a_file_without_any_n_gram_is_refused():
    content = "\\data\\\nngram 1=4\n\n\\end\\\n"
    assert refused(content).startswith("lm.arpa:4: expected \\1-grams:, found \\end\\")
    assert refused(content, lenient=True).startswith("lm.arpa:4: expected n-grams, found none that can be read")
    only_rubbish = content.replace("\n\n", "\n\\1-grams:\nrubbish\n")
    assert refused(only_rubbish).startswith("lm.arpa:4: expected a log-probability, the words of a 1-gram")
    assert refused(only_rubbish, lenient=True).startswith("lm.arpa:5: expected n-grams, found none that can be read")


def test_a_section_that_is_not_declared_is_refused_or_read():
    message = refused(edited({4: None, 13: "-0.5 <s> 春"}))
    assert message.startswith(r"lm.arpa:17: expected only the sections that \data\ declares")
    assert refused(edited({4: None})).startswith("lm.arpa:12: expected no backoff in the highest order")
    arpa, notes = repaired(edited({4: None, 14: "-0.75 春 江 -0.5"}))
    assert grams(arpa)[2] == TRIGRAMS
    assert backoffs10(arpa, 2) == [-0.25, -0.5, 0, 0]
    assert notes == [r"sections read that \data\ does not declare (once, in line 17)"]


def test_sections_end_at_the_highest_order_even_leniently():
    undeclared = "".join(f"\\{n}-grams:\n" for n in range(4, 23))
    content = MODEL.replace("\\end\\\n", undeclared + "\\end\\\n")
    assert "expected an order of at most 20, found '\\\\21-grams:'" in refused(content, lenient=True)


@pytest.mark.parametrize(("declared", "found"), [(5, "4 where 5"), (3, "4 where 3"), (0, "4 where 0")])
def test_another_number_of_n_grams_than_declared_is_refused_or_taken(declared, found):
    content = edited({3: f"ngram 2={declared}"})
    message = refused(content)
    assert message.startswith(rf"lm.arpa:17: expected as many 2-grams as \data\ declares, found {found} are declared")
    arpa, notes = repaired(content)
    assert is_equal(arpa, reading(MODEL))
    assert notes == [r"sections of another size than \data\ declares (once, in line 17)"]


def test_a_file_cut_short_says_after_which_line():
    cut = "".join(line + "\n" for line in MODEL.splitlines()[:14])
    message = refused(cut)
    assert message.startswith("lm.arpa:14: expected \\end\\, found the end of the file: it was cut short after line 14")
    assert refused(cut + "-1 江 </").startswith("lm.arpa:15: expected \\end\\, found the end of the file")
    arpa, notes = repaired(cut + "-1 江 </")
    assert grams(arpa)[1:] == [BIGRAMS[:2]]
    assert notes == [
        "a last line that was cut short left out (once, in line 15)",
        r"sections of another size than \data\ declares (once, in line 15)",
        r"no \end\, the file was cut short; what is there was read (once, in line 15)",
        "backoffs of the highest order left out (once, in line 12)",
    ]


def test_lines_after_the_end_are_refused_or_ignored():
    message = refused(MODEL + "\n-1 春\n")
    assert message.startswith("lm.arpa:24: expected nothing after \\end\\, found the trailing line '-1 春'")
    arpa, notes = repaired(MODEL + "\n-1 春\n" + MODEL)
    assert is_equal(arpa, reading(MODEL))
    assert notes == [r"trailing lines after \end\ left out (19 times, first in line 24)"]


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", ["x", "1,5", "-", "--1", "-1_0", "0x1p-3", "-１", "-1\0"])
def test_what_is_no_number_is_refused_or_its_line_is_left_out(number):
    for line in (f"{number} 春 江", f"-0.75 春 江 {number}"):
        assert refused(edited({14: line})).startswith(f"lm.arpa:14: expected a number, found {number!r}")
        arpa, notes = repaired(edited({14: line}))
        assert grams(arpa)[1:] == [[[0, 2], [3, 1], [2, 1]], TRIGRAMS[:1]]
        assert notes == [
            "lines with an unreadable number left out (once, in line 14)",
            "n-grams left out whose context is missing (once, in line 20)",
        ]


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("number", ["nan", "-NaN", "inf", "+Infinity", "1e999", "1e39"])
def test_numbers_that_are_not_finite_are_refused_always(number, lenient):
    for line in (f"{number} 春 江", f"-0.75 春 江 {number}"):
        message = refused(edited({14: line}), lenient=lenient)
        assert message.startswith(f"lm.arpa:14: expected a finite number, found {number!r}")


@pytest.mark.parametrize("number", ["-inf", "-Infinity", "-1e999", "-1e39"])
def test_minus_infinity_is_refused_or_read_as_the_usual_stand_in(number):
    content = edited({9: f"-0.25 春 {number}", 14: f"{number} 春 江"})
    assert refused(content).startswith(f"lm.arpa:9: expected a finite number, found {number!r}")
    arpa, notes = repaired(content)
    assert (log10(arpa, 2)[1], backoffs10(arpa, 1)[2]) == (-99, -99)
    assert notes == ["numbers of minus infinity read as -99 (2 times, first in line 9)"]


def test_positive_log_probabilities_are_refused_or_set_to_zero():
    content = edited({8: "0.0001 </s>", 14: "1e-3 春 江"})
    message = refused(content)
    assert message.startswith("lm.arpa:8: expected a log-probability of at most 0, found '0.0001'")
    assert "IRSTLM" in message
    arpa, notes = repaired(content)
    assert (log10(arpa, 1)[1], log10(arpa, 2)[1]) == (0, 0)
    assert notes == ["log-probabilities that rounding made positive set to 0 (2 times, first in line 8)"]


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("number", ["2", "0.5", "0.0011", "99"])
def test_costs_with_the_sign_turned_are_refused_leniently_too_and_not_taken_for_certainty(number, lenient):
    message = refused(edited({14: f"{number} 春 江"}), lenient=lenient)
    assert message.startswith(f"lm.arpa:14: expected a log-probability of at most 0, found '{number}'")
    assert "costs" in message and "turn the sign" in message


def test_a_backoff_in_the_highest_order_is_refused_or_dropped_unless_it_is_zero():
    content = edited({20: "-2 春 江 </s> -0.5"})
    assert refused(content).startswith("lm.arpa:20: expected no backoff in the highest order, found '-0.5'")
    arpa, notes = repaired(content)
    assert is_equal(arpa, reading(MODEL))
    assert notes == ["backoffs of the highest order left out (once, in line 18)"]
    assert is_equal(reading(edited({20: "-2 春 江 </s> 0.0"})), reading(MODEL))


# ── words ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("line", ["-0.75", "-0.75 春", "-0.75 春 江 水 -0.5", "-0.75 春 江 -0.5 -0.5" + " 水" * 99])
def test_a_wrong_number_of_fields_is_refused_or_the_line_is_left_out(line):
    message = refused(edited({16: line}))
    assert message.startswith("lm.arpa:16: expected a log-probability, the words of a 2-gram and perhaps a backoff")
    arpa, notes = repaired(edited({16: line}))
    assert grams(arpa)[1] == BIGRAMS[:3]
    assert notes == ["lines with a wrong number of fields left out (once, in line 16)"]


def test_a_word_that_is_no_unigram_is_refused_or_its_n_gram_is_left_out():
    content = edited({16: "-1.5 春 水"})
    assert refused(content).startswith(r"lm.arpa:16: expected words that stand among the \1-grams:, found '水'")
    arpa, notes = repaired(content)
    assert grams(arpa)[1] == BIGRAMS[:3]
    assert notes == [r"n-grams with a word that is not among the \1-grams: left out (once, in line 16)"]


def test_a_unigram_that_stands_twice_is_refused_or_the_first_is_taken():
    content = edited({2: "ngram 1=5", 10: "-1 江 0.25\n-0.5 春 -0.5"})
    assert refused(content).startswith("lm.arpa:11: expected every 1-gram once, found '春' again")
    arpa, notes = repaired(content)
    assert is_equal(arpa, reading(MODEL))
    assert notes == ["n-grams standing twice read once (once, in line 11)"]


def test_an_n_gram_that_stands_twice_is_refused_or_the_first_is_taken():
    content = edited({3: "ngram 2=6", 16: "-1.5 春 </s>\n-0.1 春 江\n-0.2 春 江"})
    assert refused(content).startswith("lm.arpa:17: expected every 2-gram once, found '春 江' again")
    arpa, notes = repaired(content)
    assert is_equal(arpa, reading(MODEL))
    assert notes == ["n-grams standing twice read once (2 times, first in line 17)"]


def test_an_n_gram_without_its_context_is_refused_or_left_out_with_all_that_begin_with_it():
    four = {4: "ngram 3=2\nngram 4=2", 20: "-2 春 江 </s>\n\n\\4-grams:\n-1 <s> 春 江 </s>\n-1 <s> 春 江 江"}
    assert grams(reading(edited(four)))[3] == [[0, 2, 3, 1], [0, 2, 3, 3]]

    content = edited(four | {3: "ngram 2=3", 14: None})
    message = refused(content)
    assert message.startswith("lm.arpa:20: expected the first words of every 3-gram in the section before, found ")
    assert "found '春 江 </s>' without its context" in message
    arpa, notes = repaired(content)
    assert grams(arpa)[2:] == [TRIGRAMS[:1], [[0, 2, 3, 1], [0, 2, 3, 3]]]
    assert notes == ["n-grams left out whose context is missing (once, in line 20)"]

    arpa, notes = repaired(edited(four | {3: "ngram 2=3", 13: None}))
    assert grams(arpa)[1:] == [BIGRAMS[1:], TRIGRAMS[1:], []]
    assert notes == ["n-grams left out whose context is missing (3 times, first in line 19)"]


def test_sentence_boundaries_in_the_midst_are_refused_or_left_out():
    for gram in ("春 <s>", "</s> 春", "<s> <s>"):
        content = edited({16: f"-1.5 {gram}"})
        message = refused(content)
        assert message.startswith("lm.arpa:16: expected <s> only as the first word and </s> only as the last")
        arpa, notes = repaired(content)
        assert grams(arpa)[1] == BIGRAMS[:3]
        assert notes == ["n-grams with <s> or </s> in the midst left out (once, in line 16)"]
    assert "lm.arpa:20: expected <s> only" in refused(edited({20: "-2 春 </s> 江"}))


def test_a_missing_boundary_is_refused_by_name_or_noted():
    unigrams = "\\data\\\nngram 1=1\n\n\\1-grams:\n-1 {}\n\n\\end\\\n"
    assert refused(unigrams.format("</s>")).startswith(r"lm.arpa:6: expected <s> among the \1-grams:")
    assert refused(unigrams.format("<s>")).startswith(r"lm.arpa:6: expected </s> among the \1-grams:")
    arpa, notes = repaired(unigrams.format("春"))
    assert arpa.words == ["春"]
    assert notes == [r"no <s> among the \1-grams: (once, in line 6)", r"no </s> among the \1-grams: (once, in line 6)"]


def test_a_word_that_is_not_utf8_is_named_by_its_byte_or_left_out():
    content = MODEL.encode().replace("-1\t江\t0.25".encode(), b"-1\ta\xff\t0.25")
    message = refused(content)
    assert message.startswith("lm.arpa:10: expected words in UTF-8, found 'a\ufffd': byte 4 of the line is 0xff")
    assert "iconv" in message
    arpa, notes = repaired(content)
    assert arpa.words == WORDS[:3]
    assert notes[0] == "words that are not UTF-8 left out (once, in line 10)"
    assert refused(edited({16: "-1.5 春 \ud800"}).encode("utf-8", "surrogatepass")).startswith("lm.arpa:16: ")


# ── writing ─────────────────────────────────────────────────────────────────────────────────────


def nats(*log10s: float) -> np.ndarray:
    return np.array(log10s) * LN10


def test_a_file_is_written_as_other_tools_write_it():
    arpa = reading(MODEL)
    blocks = [(order.grams, order.log_probs, order.backoffs) for order in arpa.orders]
    text = "".join(write(arpa.words, [4, 4, 2], blocks))
    lines = MODEL.replace("</s>\n\n", "</s>\n").splitlines()  # backoffs of 0 are written out
    assert text.splitlines()[:8] == [*lines[:7], "-0.5\t</s>\t0"]
    assert "-0.75\t春 江\t0\n" in text
    assert text.endswith("\\3-grams:\n-0.125\t<s> 春 江\n-2\t春 江 </s>\n\n\\end\\\n")
    assert is_equal(reading(text), arpa)


def test_each_line_comes_by_itself():
    blocks = [(np.array([[0], [1]]), nats(-1, -2), None)]
    assert list(write(["<s>", "</s>"], [2], blocks)) == [
        *("\\data\\\n", "ngram 1=2\n", "\n", "\\1-grams:\n"),
        *("-1\t<s>\n", "-2\t</s>\n", "\n", "\\end\\\n"),
    ]


def test_an_order_may_come_in_several_blocks_or_in_none():
    blocks = [(np.array([[0]]), nats(-1), nats(0.5)), (np.array([[1]]), nats(-2), None)]
    assert list(write(["<s>", "</s>"], [2, 0, 0], blocks))[4:] == [
        *("\n", "\\1-grams:\n", "-1\t<s>\t0.5\n", "-2\t</s>\n"),
        *("\n", "\\2-grams:\n", "\n", "\\3-grams:\n", "\n", "\\end\\\n"),
    ]


def test_numbers_have_seven_digits_and_zero_probabilities_are_99():
    numbers = np.array([-np.inf, -0.0, 1e-9, -1 / 3 * LN10], dtype=np.float64)
    blocks = [(np.array([[0], [1], [2], [3]]), numbers, None)]
    assert [line.split("\t")[0] for line in list(write(WORDS, [4], blocks))[4:8]] == ["-99", "0", "0", "-0.3333333"]


def test_numbers_of_32_bits_come_back():
    numbers = -np.random.default_rng(3).exponential(3, 1000).astype(np.float32)
    words = ["<s>", "</s>", *map(str, range(998))]
    text = "".join(write(words, [1000], [(np.arange(1000)[:, None], numbers, None)]))
    np.testing.assert_allclose(reading(text).orders[0].log_probs, numbers, rtol=1e-6)


@pytest.mark.parametrize("word", ["", " ", "a b", "a\tb", "a\n", "\r", "a\v", "\fa", "\0", "\ud800"])
def test_a_word_that_no_line_can_hold_is_refused(word):
    with pytest.raises(ArpaError, match="an ARPA file cannot hold the word"):
        list(write(["<s>", word], [2], []))


@pytest.mark.parametrize("number", [np.nan, np.inf, 0.1])
def test_a_log_probability_that_is_none_is_refused(number):
    with pytest.raises(ArpaError, match="an ARPA file cannot hold the log-probability"):
        list(write(["<s>"], [1], [(np.array([[0]]), np.array([number]), None)]))
    if number != 0.1:
        with pytest.raises(ArpaError, match="an ARPA file cannot hold the log-probability"):
            list(write(["<s>"], [1, 0], [(np.array([[0]]), np.array([0.0]), np.array([number]))]))


def test_blocks_that_break_their_promise_are_a_bug():
    one, two = (np.array([[0]]), nats(-1), None), (np.array([[0, 0]]), nats(-1), None)
    for counts, blocks in (([2], [one]), ([1], [one, one]), ([1], [two]), ([1, 1], [two, one]), ([1, 1], [one])):
        with pytest.raises(ValueError, match="-grams"):
            list(write(["<s>"], counts, blocks))
    with pytest.raises(ValueError, match="highest order"):
        list(write(["<s>"], [1], [(*one[:2], nats(0.5))]))
