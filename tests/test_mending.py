"""What mends a fault, by the checker; and poems written back into the lines where they stood."""

from charlm.poems.checking import check
from charlm.poems.mending import Mender, why_nothing_mends
from charlm.poems.parsing import poem_of, rewritten, with_text
from charlm.poems.sounds import Reading, RhymeBook

LEVEL, OBLIQUE = Reading(True, "东", "平"), Reading(False, "送", "去")
BOOK = RhymeBook(
    "small",
    "small",
    [(LEVEL, "平东风红"), (Reading(True, "阳", "平"), "光长"), (OBLIQUE, "仄送梦"), (LEVEL, "中"), (OBLIQUE, "中")],
)
MENDER = Mender("平东风红光长仄送梦中外", BOOK)


def found(text, rule, form="五绝"):
    poem = poem_of(text)
    judgement = check(poem, form, BOOK)
    fault = next(one for one in judgement.faults if one.rule == rule)
    return poem, judgement, fault, MENDER.mends(poem, judgement, fault)


def test_a_wrong_tone_is_mended_by_characters_of_the_other():
    poem, judgement, fault, mends = found("仄仄平平仄，平平仄仄东。平仄平仄仄，仄仄仄平风。", "出律")
    assert (fault.line, fault.column) == (3, 2)
    (mend,) = mends
    # The second character of the third line; 中 may be read either way, 外 is not in the book.
    assert mend.places == (11,) and set(mend.options[0]) == set("平东风红光长中")
    for character in mend.options[0]:
        text = poem.text[:11] + character + poem.text[12:]
        assert MENDER.mended_by(poem, judgement, fault, text) and check(with_text(poem, text), "五绝", BOOK).conforms


def test_a_wrong_rhyme_is_mended_at_either_end_of_the_rhyme():
    poem, judgement, fault, mends = found("仄仄平平仄，平平仄仄长。平平平仄仄，仄仄仄平风。", "出韵")
    assert {mend.places for mend in mends} == {(9,), (19,)}
    for mend in mends:
        for character in mend.options[0]:
            text = poem.text[: mend.places[0]] + character + poem.text[mend.places[0] + 1 :]
            # What is of a kind rhymes, unless with itself: then nothing is mended.
            rhymes = text[9] != text[19]
            assert MENDER.mended_by(poem, judgement, fault, text) == rhymes
            assert check(with_text(poem, text), "五绝", BOOK).conforms == rhymes


def test_two_characters_are_replaced_where_one_does_not_do():
    # The last line says the tones of the one before where it should answer them: its second and fourth must turn.
    poem, judgement, fault, mends = found("仄仄平平仄，平平仄仄东。平平平仄仄，平平仄仄风。", "失对")
    (mend,) = mends
    assert mend.places == (16, 18)
    said = list(poem.text)
    for place, options in zip(mend.places, mend.options, strict=True):
        said[place] = options[0]
    assert MENDER.mended_by(poem, judgement, fault, "".join(said))


def test_what_no_replacement_mends_is_told_with_its_reason():
    _, judgement, fault, mends = found("仄仄平平仄，平平仄仄。平平平仄仄，仄仄仄平风。", "字数")
    assert not mends and "their number" in why_nothing_mends(fault)
    assert judgement.of("structure")
    _, _, odd, mends = found("仄仄平平仄，平平仄仄东X。平平平仄仄，仄仄仄平风。", "异字")
    assert not mends and "none of Chinese" in why_nothing_mends(odd)


def test_a_poem_is_written_back_among_its_marks_brackets_and_neighbours():
    lines = ["春日\n", "仄仄平平仄，平平（东风）仄仄东。\n", "\n", "「平平平仄仄」，仄仄仄平风。"]
    poem = poem_of("".join(lines[1:]), place=2)
    text = poem.text[:9] + "红" + poem.text[10:]
    changed = rewritten(lines, with_text(poem, text))
    assert changed == {1: "仄仄平平仄，平平（东风）仄仄红。\n", 3: lines[3]}
