"""What each format of lists says about its numbers and ids, and what it does with a list that does not fit.

Round trips and the place of a malformed line are laws of all formats: tests/contracts/test_nbest_format.py.
"""

import math
import re
from pathlib import Path

import pytest
from contracts.test_nbest_format import FORMATS, HOLDS, LISTS, kept_by, source, written

from charlm.errors import CharlmError, NBestError, TextError
from charlm.nbest import NBEST_FORMATS, Hypothesis, Source, Utterance
from charlm.nbest.elements import elements
from charlm.nbest.recognising import described, formats_of, formats_of_folder, guess
from charlm.nbest.references import references_of

H, U = Hypothesis, Utterance


def read(name: str, *lines: str, beam: int | None = None) -> list[Utterance]:
    return list(NBEST_FORMATS[name].parse(Source.of(lines, "x", beam=beam)))


def read_on(name: str, *lines: str, beam: int | None = None) -> tuple[list[Utterance], list[str]]:
    """The lists that fit, and what was said about the others."""
    told: list[str] = []
    found = NBEST_FORMATS[name].parse(Source.of(lines, "x", beam=beam, refuse=lambda error: told.append(str(error))))
    return list(found), told


def folder(name: str, told: list[str] | None = None, **files: list[str]) -> list[Utterance]:
    opened = {file.replace("_best_", "best_recog/"): lambda lines=lines: lines for file, lines in files.items()}
    given = Source("d", opened) if told is None else Source("d", opened, lambda error: told.append(str(error)))
    return list(NBEST_FORMATS[name].parse(given))


BROKEN = ("[", "{", "[{]", '{"hyps": ["a"')  # brackets after which nothing can be told any more
SPOILING = [
    (name, bad)
    for name in FORMATS
    if not FORMATS[name].files and name != "tsv"  # a table has one header
    for bad in HOLDS[name].malformed
    if bad not in BROKEN or name == "jsonl"
]


@pytest.mark.parametrize(("name", "bad"), SPOILING)
def test_a_list_that_does_not_fit_is_left_out_and_the_others_are_read(name, bad):
    first, last = (written(name, [one])[""] for one in (LISTS[1], LISTS[0]))
    between = [""] if name in ("srilm", "decipher") else []
    found, told = read_on(name, *first, *between, bad, *between, *last)
    assert told[0].startswith(f"x:{len(first) + len(between) + 1}: ") and len(told) == 1
    whole = [only.hypotheses for only in kept_by(name, [LISTS[1], LISTS[0]])]
    assert all(u.hypotheses in whole for u in found)
    assert found or name in ("moses", "trn")  # a line there that names no list costs both its neighbours


def test_a_spoilt_line_costs_its_own_list_only():
    found, told = read_on("tsv", "id\tam\ttext", "a\t-1\tx", "b\tbad\ty", "b\t-2\tz", "c\t-3\tw")
    assert [u.id for u in found] == ["a", "c"] and len(told) == 1 and told[0].startswith("x:3: ")


def test_a_line_that_names_no_list_costs_those_on_both_sides():
    lines = ("a ||| x ||| ||| -1", "b ||| y ||| ||| -2", "no barrier", "c ||| z ||| ||| -3", "d ||| w ||| ||| -4")
    assert [u.id for u in read_on("moses", *lines)[0]] == ["a", "d"]
    inside = ("a ||| x ||| ||| -1", "no barrier", "a ||| y ||| ||| -2", "b ||| z ||| ||| -3")
    assert [u.id for u in read_on("moses", *inside)[0]] == ["b"]


def test_a_list_knows_where_it_began():
    assert [u.place for u in read("tsv", "id\tam\ttext", "a\t1\tx", "", "b\t1\ty", "b\t2\tz")] == ["x:2", "x:4"]
    assert [u.place for u in read("mlm", '{"u": {},', '"v":', "{}}")] == ["x:1", "x:2"]


@pytest.mark.parametrize("line", ["a\t-1\tx", "0 ||| x ||| ||| -1", "x (a1)", "one text"])
def test_a_list_without_end_is_refused(line):
    (name,) = formats_of([line]) or ["plain"]
    assert len(read(name, *[line] * 10_000)[0].hypotheses) == 10_000
    with pytest.raises(NBestError, match=r"^x:10001: ") as caught:
        read(name, *[line] * 10_001)
    assert "at most 10,000 candidates" in caught.value.hint


def test_the_columns_of_a_table_are_named_by_its_first_line():
    assert read("tsv", "id\tam\tctc\ttext", "u\t-1\t\ta") == [U("u", (H("a", {"am": -1.0}),))]
    assert read("tsv", "u\t-1\t2.5\t-.5e1\ta") == [U("u", (H("a", {"am": -1.0, "score2": 2.5, "score3": -5.0}),))]
    assert read("tsv", "u\ta", "u\tb") == [U("u", (H("a"), H("b")))]


def test_a_table_has_one_set_of_columns():
    with pytest.raises(CharlmError, match="scores called ctc of utterance 'v', which the first list had not"):
        written("tsv", [U("u", (H("a", {"am": -1.0}),)), U("v", (H("b", {"ctc": -1.0}),))])


def test_kaldis_costs_become_scores_of_the_other_sign():
    found = folder(
        "kaldi",
        words_text=["a-b-1 x y", "a-b-2", "c-1 z"],
        acwt=["a-b-1 12.5", "a-b-2 inf", "c-1 -3"],
        **{"lmwt.nolm": ["a-b-1 2", "a-b-2 0", "c-1 1"], "utt2spk": ["a-b s"]},
    )
    assert found == [
        U("a-b", (H("x y", {"am": -12.5, "lmwt.nolm": -2.0}), H("", {"am": -math.inf, "lmwt.nolm": 0.0}))),
        U("c", (H("z", {"am": 3.0, "lmwt.nolm": -1.0}),)),
    ]


def test_kaldis_numbers_give_the_order_inside_a_list():
    assert folder("kaldi", words_text=["u-1 a", "u-10 j", "u-2 b"])[0].hypotheses == (H("a"), H("b"), H("j"))


def test_kaldis_files_must_go_in_step():
    told: list[str] = []
    assert folder("kaldi", told, words_text=["u-1 a", "v-1 b"], acwt=["u-1 1", "w-1 2"]) == []
    assert len(told) == 1 and told[0].startswith("d/acwt:2: ")
    with pytest.raises(NBestError, match=r"^d/words_text:2: ") as caught:
        folder("kaldi", words_text=["u-1 a", "v-1 b"], acwt=["u-1 1"])
    assert "acwt, which ends before v-1" in caught.value.hint


def test_espnets_ranks_are_read_side_by_side():
    files = {
        "1_best_text": ["u 做 业", "v 好"], "1_best_score": ["u tensor(-5.25)", "v tensor(-1.5, device='cuda:0')"],
        "2_best_text": ["u 作 业"], "2_best_score": ["u -6.5"],
        "10_best_text": ["u 做"], "10_best_token": ["u <x>"],
    }  # fmt: skip
    assert folder("espnet", **files) == [
        U("u", (H("做 业", {"am": -5.25}), H("作 业", {"am": -6.5}), H("做"))),
        U("v", (H("好", {"am": -1.5}),)),
    ]


@pytest.mark.parametrize(
    ("files", "place", "ids"),
    [
        ({"1_best_text": ["u a", "v b"], "1_best_score": ["u -1", "w -1"]}, "1best_recog/score:2", ["u"]),
        ({"1_best_text": ["u a", "v b"], "1_best_score": ["u -1"]}, "1best_recog/text:2", ["u"]),
        ({"1_best_text": ["u a", "v b"], "1_best_score": ["u x", "v -1"]}, "1best_recog/score:1", ["v"]),
        ({"1_best_text": ["u a", "v b"], "2_best_text": ["w a"]}, "2best_recog/text:1", ["u", "v"]),
    ],
)
def test_espnets_files_must_go_in_step(files, place, ids):
    told: list[str] = []
    assert [u.id for u in folder("espnet", told, **files)] == ids
    assert len(told) == 1 and told[0].startswith(f"d/{place}: ")


def test_srilms_logarithms_have_base_ten():
    (found,) = read("srilm", "-2 -1 3 <s> a b </s>", "-3 -inf 0")
    assert found.hypotheses[0] == H("a b", {"am": -2 * math.log(10), "old_lm": -math.log(10), "words": 3.0})
    assert found.hypotheses[1] == H("", {"am": -3 * math.log(10), "old_lm": -math.inf, "words": 0.0})


def test_a_folder_of_srilm_has_a_file_for_each_list():
    opened = {"u2.gz": lambda: ["-2 -1 1 a", "", "-3 -1 1 b"], "u1.score": lambda: ["-2 -1 1 c"]}
    assert [(u.id, len(u.hypotheses)) for u in NBEST_FORMATS["srilm"].parse(Source("d", opened))] == [
        ("u1", 1),
        ("u2", 2),
    ]


def test_bytelogs_become_natural_logarithms():
    assert read("decipher", "NBestList1.0", "(-10000) a b")[0].hypotheses == (
        H("a b", {"am": -10000 * 1024 / 10000.5}),
    )


def test_words_of_nbestlist2_are_added_up_without_phones_and_states():
    line = (
        "(-600) a ( st: 0.0 et: 0.5 g: -100 a: -200 ) ey ( st: 0.0 et: 0.5 g: 0 a: -200 )"
        " b ( st: 0.51 et: 0.9 g: -100 a: -200 ) x-2 ( st: 2.0 et: 3.0 g: 0 a: -9 )"
    )
    (found,) = read("decipher", "NBestList2.0", line)
    nat = 1024 / 10000.5
    assert found.hypotheses == (H("a b", {"am": -400 * nat, "old_lm": -200 * nat}),)


def test_nemos_lists_are_told_apart_by_the_beam_or_by_blank_lines():
    lines = ["a\t-1", "b\t-2", "c\t-3", "d\t-4"]
    assert [(u.id, len(u.hypotheses)) for u in read("nemo", *lines, beam=2)] == [("1", 2), ("2", 2)]
    assert [len(u.hypotheses) for u in read("nemo", *lines[:3], "", lines[3], "")] == [3, 1]
    with pytest.raises(NBestError, match=r"^x:4: ") as caught:
        read("nemo", *lines)
    assert "--beam N" in caught.value.hint
    found, told = read_on("nemo", *lines, "e\t-5", beam=2)
    assert [u.id for u in found] == ["1", "2"] and told[0].startswith("x:5: ")
    found, told = read_on("nemo", "a\t-1", "b", "c\t-3", "d\t-4", beam=2)
    assert [u.id for u in found] == ["2"] and told[0].startswith("x:2: ")


def test_features_of_moses_keep_their_names():
    line = "7 ||| a b ||| LM0= -12.5 Lex= -2 0 d: -1 ||| -14.5 ||| 0-0 1-1"
    expected = {"LM0": -12.5, "Lex": -2.0, "Lex.2": 0.0, "d": -1.0, "am": -14.5}
    assert read("moses", line) == [U("7", (H("a b", expected),))]
    assert read("moses", "7 ||| a ||| -1 -2") == [U("7", (H("a", {"feature": -1.0, "feature.2": -2.0}),))]


def test_json_of_corpora_is_read_from_arrays_and_from_lines():
    expected = [U("1", (H("a"), H("b", {"am": -2.0})), "b", {"n": 1}), U("x", (), None)]
    one, other = '{"input": ["a", ["b", -2]], "output": "b", "n": 1}', '{"id": "x", "input": []}'
    assert read("hyporadise", one, other) == read("hyporadise", f"[{one},", "", f"{other}]") == expected
    pretty = ["[", " {", '  "input": [', '   "a",', '   ["b", -2] ],', ' "output":', ' "b", "n": 1}', ",", other, "]"]
    assert read("hyporadise", *pretty) == expected


def test_arrays_beside_hyps_are_scores():
    line = '{"name": "u", "hyps": ["a", "b"], "am_score": [-1, null], "ctc_score": [-2, -3], "ref": "b", "n": [1]}'
    scores = ({"am": -1.0, "ctc_score": -2.0}, {"ctc_score": -3.0})
    assert read("hypr", line) == [U("u", (H("a", scores[0]), H("b", scores[1])), "b", {"n": [1]})]


def test_candidates_of_mlm_scoring_are_ordered_by_their_numbers():
    hyps = '"hyp_10": {"text": "c"}, "hyp_2": {"text": "b", "score": -2, "lm0": -1, "t": "x"}'
    (found,) = read("mlm", '{"u": {', f'{hyps}, "ref": "b"}}', "}")
    assert found == U("u", (H("b", {"am": -2.0, "lm0": -1.0}, {"t": "x"}), H("c")), "b")


def test_json_is_cut_into_elements_whatever_stands_in_its_strings():
    texts = ['"a]"', '{"b": "\\"},["}', "[1, [2]]", "null"]
    found = list(elements(Source.of(["[" + ",\n".join(texts) + "]"], "x")))
    assert [one.text.replace(" ", "") for one in found] == [text.replace(" ", "") for text in texts]
    members = list(elements(Source.of(['{"a":1,"b":{"c":2}}'], "x"), members=True))
    assert [(one.key, one.text.replace(" ", "")) for one in members] == [('"a"', "1"), ('"b"', '{"c":2}')]


@pytest.mark.parametrize("text", ["[1", "[", "[,1]", "[1}", '["a]', "7", '{"a"', "[1] x", '{"a": }'])
def test_json_that_does_not_fit_together_is_named_by_its_line(text):
    with pytest.raises(NBestError, match=r"^x:2: "):
        list(elements(Source.of(["", text], "x"), members=True))


def test_references_are_told_apart_by_what_stands_in_them():
    def of(*lines: str) -> dict[str, str]:
        return references_of(Source.of(lines, "r"))

    assert of("u1 a b", "u2\tc", "u3", "") == {"u1": "a b", "u2": "c", "u3": ""}
    assert of("a b (u1)", "(u2)") == {"u1": "a b", "u2": ""}
    assert of("{ uh / @ } it is (u1)") == {"u1": "uh it is"}
    assert of('{"text": "a", "audio_filepath": "x.wav"}', '{"text": "b"}') == {"1": "a", "2": "b"}
    assert of() == {}


@pytest.mark.parametrize(
    ("lines", "place", "said"),
    [
        (["u1 a", "u2 b", "u1 c"], "r:3", "u1 has a reference in line 1 already"),
        (["a (u1)", *[f"c (v{n})" for n in range(60)], "no id"], "r:62", "its id in parentheses"),
        (['{"text": "a"}', '{"txt": "b"}'], "r:2", "a string as text"),
        (['{"text": "a"}', "{"], "r:2", "one JSON object a line"),
    ],
)
def test_a_reference_that_does_not_fit_is_named_by_its_line(lines, place, said):
    with pytest.raises(NBestError, match=f"^{place}: ") as caught:
        references_of(Source.of(lines, "r"))
    assert said in caught.value.hint


NAMES = [name for name in NBEST_FORMATS if name not in ("plain", "kaldi", "espnet")]
NAMED = [
    Utterance(f"utt{number}", tuple(Hypothesis(text, {"am": -1.5 - rank}) for rank, text in enumerate(texts)))
    for number, texts in enumerate((("做做业", "做作业"), ("good day", "could they", "good date"), ("今天",)))
]


@pytest.mark.parametrize("name", NAMES)
def test_lists_are_recognised_by_what_stands_in_them(name):
    lines = written(name, NAMED)[""]
    assert formats_of(lines) == [name] and guess(lines, "x") == name


def test_folders_are_recognised_by_their_files():
    assert formats_of_folder(["words_text", "acwt"], list) == ["kaldi"]
    assert formats_of_folder(["1best_recog/text", "2best_recog/text"], list) == ["espnet"]
    assert formats_of_folder(["u1.gz", "u2.gz"], lambda _: ["-1 -2 1 a"]) == ["srilm"]
    assert formats_of_folder(["u1"], lambda _: ["NBestList1.0"]) == ["decipher"]
    assert formats_of_folder(["a.jsonl"], lambda _: ['{"hyps": []}']) == [] == formats_of_folder([], list)


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["u1\t-5\t6", "u2\t-7\t8"], ("tsv", "tabs")),
        (['{"input": ["a"], "hyps": ["b"]}'], ("hyporadise", "hypr")),
        (["-1 -2 3 a (u1)"], ("srilm", "trn")),
    ],
)
def test_two_possible_formats_are_refused_and_both_are_shown(lines, names):
    with pytest.raises(TextError, match=" or as ".join(names)) as caught:
        guess(lines, "x")
    for name in names:
        (first, *_) = read(name, *lines)
        assert f"--format {name}" in caught.value.hint and f"as {name}: {described(first)}" in caught.value.hint


@pytest.mark.parametrize(
    "lines",
    [
        ["今天天气很好", "明天"],
        ["3 月 5 日", "4 月"],
        ["covid-19 来了", "covid-19 走了"],
        ["他(笑)"],
        ["a|b", "c|d"],
        ["a\tb"],
    ],
)
def test_text_is_no_list(lines):
    assert formats_of(lines) == [] and guess(lines, "x") == "text"


@pytest.mark.parametrize("name", [*NAMES, "kaldi", "espnet"])
def test_a_format_says_what_it_would_lose(name):
    """A blank in an id, or a line end in a text, is refused or comes back."""
    for odd in (U("two words", (H("a"),)), U("u", (H("a\nb"),))):
        try:
            files = written(name, [odd])
        except CharlmError as error:
            assert re.search(r"cannot hold", str(error)) and "jsonl" in error.hint
            continue
        (back,) = FORMATS[name].parse(source(files))
        assert back.hypotheses[0].text == odd.hypotheses[0].text
        assert back.id == odd.id or not NBEST_FORMATS[name].ids


PAGE = Path(__file__).parents[1] / "docs" / "nbest.md"
EXAMPLES = re.findall(r"### `(\w+)`\n\n```\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_the_examples_of_the_page_are_read_as_it_says(name, example):
    lines = example.splitlines()
    if NBEST_FORMATS[name].files:
        files: dict[str, list[str]] = {}
        for line in lines:
            file, content = line.split(None, 1)
            files.setdefault(file, []).append(content)
        assert formats_of_folder(files, list) == [name]
    else:
        files = {"": lines}
        assert guess(lines, "x") == name
    found = list(NBEST_FORMATS[name].parse(source(files)))
    texts = [re.sub(" ", "", candidate.text) for candidate in found[0].hypotheses]
    assert {"做做业", "做作业"} <= set(texts)
    if NBEST_FORMATS[name].scores and name != "hyporadise":
        assert "am" in found[0].hypotheses[0].scores
    if NBEST_FORMATS[name].references:
        assert found[0].reference == "做作业"


def test_every_format_has_an_example_and_a_row_in_the_table():
    for name, format in NBEST_FORMATS.items():
        assert re.search(rf"^\|.*`{name}`.*\|", PAGE.read_text("utf-8"), re.MULTILINE) and format.about
    assert {name for name, _ in EXAMPLES} == set(NBEST_FORMATS) - {"tabs"}
