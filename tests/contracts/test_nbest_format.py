"""What every format of n-best lists promises, and what each refuses.

A new format is held to the laws the moment it is listed in NBEST_FORMATS; it says in HOLDS what it can hold.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.errors import CharlmError, ConfigError, NBestError
from charlm.nbest import NBEST_FORMATS, Hypothesis, Source, Utterance
from charlm.nbest.base import numbered
from charlm.nbest.decipher import BYTELOG
from charlm.nbest.srilm import NATURAL

HOMEWORK = Path(__file__).parents[2] / "corpora" / "homework.nbest.jsonl"

LISTS = [
    Utterance("a", (Hypothesis("做做业", {"am": -12.5}), Hypothesis("做作业", {"am": -13.0})), "做作业"),
    Utterance("b", (Hypothesis("he  said"), Hypothesis(" he sat "), Hypothesis("he set"))),
    Utterance("c", (Hypothesis("只有一个"),), "", {"speaker": 7}),
]


def only_texts(utterances: Iterable[Utterance]) -> list[Utterance]:
    return [
        Utterance(str(number), tuple(Hypothesis(h.text) for h in utterance.hypotheses))
        for number, utterance in enumerate(utterances, 1)
    ]


@dataclass(frozen=True)
class Holds:
    """What a format gives back of some utterances, and the texts it can hold."""

    kept: Callable[[Iterable[Utterance]], list[Utterance]]
    texts: st.SearchStrategy[str]
    malformed: tuple[str, ...]  # single lines; a format of free text has none


def held(
    ids: bool = True, scores: Callable[[dict], dict] = lambda scores: {}, reference: bool = False, extra: bool = False
) -> Callable[[Iterable[Utterance]], list[Utterance]]:
    """What comes back of utterances in a format that keeps these, and texts without blanks at their edges."""

    def kept(utterances: Iterable[Utterance]) -> list[Utterance]:
        return [
            Utterance(
                u.id if ids else str(number),
                tuple(Hypothesis(h.text.strip(" \t"), scores(dict(h.scores))) for h in u.hypotheses),
                u.reference if reference else None,
                u.extra if extra else {},
            )
            for number, u in enumerate(utterances, 1)
        ]

    return kept


def whole(utterances: Iterable[Utterance]) -> list[Utterance]:
    return list(utterances)


def only_am(scores: dict) -> dict:
    return {name: value for name, value in scores.items() if name == "am"}


def in_base_ten(scores: dict) -> dict:
    return {"am": scores.get("am", 0.0) / NATURAL * NATURAL, "old_lm": 0.0, "words": 7.0}


def in_bytelogs(scores: dict) -> dict:
    return {"am": round(scores.get("am", 0.0) / BYTELOG) * BYTELOG}


def words_counted(utterances: Iterable[Utterance]) -> list[Utterance]:
    """SRILM counts the words where nobody has."""
    return [
        replace(
            u,
            hypotheses=tuple(
                replace(h, scores={**h.scores, "words": float(len(h.text.split()))}) for h in u.hypotheses
            ),
        )
        for u in held(ids=False, scores=in_base_ten)(utterances)
    ]


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ONE_LINE = ANY_TEXT.filter(lambda text: not set(text) & set("\r\n"))
COLUMN = ONE_LINE.filter(lambda text: "\t" not in text)
HOLDS = {
    "jsonl": Holds(whole, ANY_TEXT, ("{", "[]", '{"id": "x"}')),
    "plain": Holds(only_texts, ONE_LINE.filter(lambda text: text.strip() and text[0] != "\ufeff"), ()),
    "tsv": Holds(held(scores=dict), COLUMN, ("c", "c\t-1", "c\tx\ttext", "c\tnan\ttext", "c\t1e999\ttext")),
    "pipes": Holds(held(), ONE_LINE.filter(lambda text: "|" not in text), ("a|b", "|")),
    "tabs": Holds(held(), COLUMN, ("\t\tb",)),
    "kaldi": Holds(held(scores=only_am), ONE_LINE, ("u", "-1 x", "u-x y")),
    "espnet": Holds(held(scores=only_am), ONE_LINE, ()),  # see below
    "nemo": Holds(held(ids=False, scores=only_am), COLUMN, ("no tab", "a\tb", "a\t1\t2", "a\tnan")),
    "srilm": Holds(words_counted, ONE_LINE.filter(lambda text: "s>" not in text), ("-1 -2 three", "x -2 3 a", "-1 -2")),
    "decipher": Holds(
        held(ids=False, scores=in_bytelogs), ONE_LINE.filter(lambda text: "s>" not in text and "st:" not in text),
        ("no score", "(x) a", "(nan) a", "(-1) a ( st: 0 et: 1 g: 2 ) b"),
    ),
    "hyporadise": Holds(
        held(scores=only_am, reference=True, extra=True),
        ANY_TEXT, ('{"input": 3}', '[{"output": "a"}]', "[", "[{]", "x")
    ),
    "hypr": Holds(
        held(scores=dict, reference=True, extra=True), ANY_TEXT,
        ('{"hyps": 3}', '{"hyps": ["a"], "am_score": [1, 2]}', '{"hyps": [1]}', '["a"]', '{"hyps": ["a"'),
    ),
    "mlm": Holds(
        whole, ANY_TEXT, ('{"u": 3}', '{"u": {"hyp_1": 3}}', '{"u": {"hyp_1": {"score": "x"}}}', "{", '["a"]')
    ),
    "moses": Holds(
        held(scores=dict), ONE_LINE.filter(lambda text: "|" not in text),
        ("no barrier", "c ||| a ||| x= y ||| 1", "c ||| a ||| ||| nan", "||| a ||| ||| 1"),
    ),
    "trn": Holds(held(), ONE_LINE, ("no id", "a ()", "a (b c)")),
}  # fmt: skip
UNTRIMMED = ("hyporadise", "hypr")  # JSON keeps every blank


def kept_by(name: str, utterances: Iterable[Utterance]) -> list[Utterance]:
    """What a format gives back of these utterances."""
    listed = list(utterances)
    found = HOLDS[name].kept(listed)
    if name in UNTRIMMED:
        pairs = zip(found, listed, strict=True)
        return [
            replace(
                u, hypotheses=tuple(replace(h, text=o.text) for h, o in zip(u.hypotheses, old.hypotheses, strict=True))
            )
            for u, old in pairs
        ]
    return found


@dataclass
class TwoFiles:
    """A throw-away format: texts in one file, acoustic scores in another, `UTTERANCE-NUMBER VALUE` on each line."""

    files: tuple[str, ...] = ("text", "score")
    folders = False
    scores = "am"
    references = False
    ids = True
    about = "texts and scores"

    def recognises(self, head) -> bool:
        return False

    def parse(self, source: Source) -> Iterator[Utterance]:
        pairs = zip(*(numbered(source.lines(file)) for file in self.files), strict=True)
        for name, rows in groupby(((*self.row(text, "text", source), score) for text, score in pairs), lambda r: r[0]):
            found = []
            for _, number, text, score in rows:
                other, same, value = self.row(score, "score", source)
                if (other, same) != (name, number):
                    raise NBestError(source.place("score"), score[0], score[1], expected=f"a score of {name}-{number}")
                found.append(Hypothesis(text, {"am": float(value)}))
            yield Utterance(name, tuple(found))

    def row(self, line: tuple[int, str], file: str, source: Source) -> tuple[str, str, str]:
        name, dash, rest = line[1].partition("-")
        if not dash:
            raise NBestError(source.place(file), *line, expected="utterance-number and a value")
        number, _, value = rest.partition(" ")
        return name, number, value

    def render(self, utterances: Iterable[Utterance], target) -> None:
        for utterance in utterances:
            for number, candidate in enumerate(utterance.hypotheses, 1):
                target.write(f"{utterance.id}-{number} {candidate.text}", "text")
                target.write(f"{utterance.id}-{number} {candidate.scores.get('am', 0.0)!r}", "score")


def named_scores(utterances: Iterable[Utterance]) -> list[Utterance]:
    return [
        Utterance(u.id, tuple(Hypothesis(h.text, {"am": h.scores.get("am", 0.0)}) for h in u.hypotheses))
        for u in utterances
    ]


# Every law is also put to a format that spans two files, which nobody but this test knows.
FORMATS = {**NBEST_FORMATS, "two": TwoFiles()}
HOLDS["two"] = Holds(named_scores, st.text(st.characters(exclude_categories=["C"]), max_size=8), ("u",))


class Items:
    """Gives items one by one and knows how many were asked for."""

    def __init__(self, items: Iterable[object]) -> None:
        self.items, self.taken = list(items), 0

    def __iter__(self) -> Iterator:
        for item in self.items:
            self.taken += 1
            yield item


class Written:
    """A target in memory; `seen` is told after each line."""

    def __init__(self, seen: Callable[[], None] = lambda: None) -> None:
        self.files: dict[str, list[str]] = {}
        self.seen = seen

    def write(self, line: str, file: str = "") -> None:
        self.files.setdefault(file, []).append(line)
        self.seen()


@pytest.fixture(params=FORMATS)
def name(request):
    return request.param


def written(name: str, utterances: Iterable[Utterance]) -> dict[str, list[str]]:
    target = Written()
    FORMATS[name].render(utterances, target)
    return {file: target.files.get(file, []) for file in [*target.files, *(FORMATS[name].files or ("",))]}


def source(files: dict[str, Iterable[str]], called: str = "x") -> Source:
    return Source(called, {file: lambda lines=lines: lines for file, lines in files.items()})


def parsed(name: str, files: dict[str, Iterable[str]]) -> list[Utterance]:
    return list(FORMATS[name].parse(source(files)))


def round_trip(name: str, utterances: Iterable[Utterance]) -> list[Utterance]:
    return parsed(name, written(name, utterances))


def test_every_format_says_what_it_can_hold():
    assert set(HOLDS) == set(FORMATS)


def test_what_was_rendered_parses_to_the_same_utterances(name):
    assert round_trip(name, LISTS) == kept_by(name, LISTS)


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_any_text_comes_back_untouched(name, data):
    lists = st.lists(HOLDS[name].texts.map(Hypothesis), min_size=1, max_size=3)
    found = data.draw(st.lists(lists, max_size=3))
    utterances = [Utterance(f"u{number}", tuple(candidates)) for number, candidates in enumerate(found)]
    assert round_trip(name, utterances) == kept_by(name, utterances)


def test_rendered_lines_survive_files(name, tmp_path):
    odd = [Utterance("1", (Hypothesis("a\u2028b"), Hypothesis("c\x85d"), Hypothesis("\x0be")))]
    for file, lines in written(name, odd).items():
        (tmp_path / (file or "lists")).parent.mkdir(exist_ok=True)
        (tmp_path / (file or "lists")).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    with ExitStack() as stack:
        files = written(name, odd)
        opened = {f: stack.enter_context((tmp_path / (f or "lists")).open(encoding="utf-8")) for f in files}
        assert parsed(name, opened) == kept_by(name, odd)


def test_line_ends_and_a_byte_order_mark_are_no_part_of_a_text(name):
    files = {file: [line + "\r\n" for line in lines] for file, lines in written(name, LISTS).items()}
    for lines in files.values():
        lines[0] = "\ufeff" + lines[0]
    assert parsed(name, files) == kept_by(name, LISTS)


def test_parsing_keeps_one_utterance_in_memory(name):
    first = written(name, LISTS[:1])
    files = {file: Items(lines) for file, lines in written(name, LISTS).items()}
    found = FORMATS[name].parse(source(files))
    assert not any(items.taken for items in files.values())
    next(found)
    assert all(files[file].taken <= len(lines) + 2 for file, lines in first.items())


def test_an_utterance_is_written_before_the_next_one_is_taken(name):
    utterances, taken = Items(LISTS), []
    FORMATS[name].render(utterances, Written(lambda: taken.append(utterances.taken)))
    assert taken[0] == 1 and sorted(set(taken)) == [1, 2, 3]


def test_a_malformed_line_is_named_by_its_file_and_number(name):
    good = written(name, LISTS[:2])
    between = [] if FORMATS[name].files else [""]
    for bad in HOLDS[name].malformed:
        for spoilt in good:
            files = {file: [*lines, *between, bad if file == spoilt else "z-1 0"] for file, lines in good.items()}
            found = FORMATS[name].parse(source(files, "lists.txt"))
            next(found)
            place = re.escape(f"lists.txt/{spoilt}" if spoilt else "lists.txt")
            with pytest.raises(NBestError, match=rf"^{place}:{len(good[spoilt]) + len(between) + 1}: "):
                list(found)


def test_nothing_is_no_list(name):
    files = FORMATS[name].files or ("",)
    assert parsed(name, {file: [] for file in files}) == []
    assert written(name, []) == {file: [] for file in files}


@pytest.mark.parametrize("name", NBEST_FORMATS)
def test_blank_lines_are_no_list(name):
    files = FORMATS[name].files or ("",)
    assert parsed(name, {file: ["\n", "  \n"] for file in files}) == []


@pytest.mark.parametrize("name", [name for name in FORMATS if not FORMATS[name].folders])
def test_a_source_says_what_it_lacks(name):
    with pytest.raises(CharlmError, match=r"^x holds ") as caught:
        list(FORMATS[name].parse(source({"odd": ["a"]})))
    assert "odd" in caught.value.hint


def test_an_unknown_format_is_refused_with_a_hint():
    with pytest.raises(ConfigError) as caught:
        NBEST_FORMATS["josnl"]
    assert "jsonl" in caught.value.hint


def test_an_utterance_may_be_without_candidates_where_the_format_can_say_so():
    assert round_trip("jsonl", [Utterance("u", ())]) == [Utterance("u", ())]
    with pytest.raises(CharlmError, match="no candidates"):
        round_trip("plain", [Utterance("u", ())])


def test_a_number_as_id_and_an_impossible_score_pass():
    (found,) = parse('{"id": 7, "hyps": [{"text": "a", "scores": {"am": -Infinity}, "x": [-Infinity]}]}')
    assert parse('{"id": 1' + "0" * 400 + ', "hyps": []}')[0].id == 10**400
    assert parse('{"id": 7.0, "hyps": []}')[0].id == 7.0  # pandas writes so where an id was missing
    assert found.id == 7 and found.hypotheses[0].scores == {"am": float("-inf")}
    assert rendered(found) == {"id": 7, "hyps": [{"text": "a", "scores": {"am": None}, "x": [None]}]}


# JSON lines


def parse(*lines: str) -> list[Utterance]:
    return list(NBEST_FORMATS["jsonl"].parse(Source.of(lines, "lists.jsonl")))


def rendered(utterance: Utterance) -> dict:
    (line,) = written("jsonl", [utterance])[""]
    return json.loads(line)


def test_a_line_of_json_becomes_an_utterance():
    line = '{"id": "u1", "ref": "做作业", "hyps": [{"text": "做做业", "scores": {"am": -12, "ctc": -3.5}}]}'
    assert parse(line) == [Utterance("u1", (Hypothesis("做做业", {"am": -12.0, "ctc": -3.5}),), "做作业")]


def test_am_score_is_another_name_of_scores_am():
    assert parse('{"id": "u", "hyps": [{"text": "a", "am_score": -1.5, "scores": {"ctc": -2}}]}') == [
        Utterance("u", (Hypothesis("a", {"ctc": -2.0, "am": -1.5}),))
    ]
    assert parse('{"id": "u", "hyps": [{"text": "a", "am_score": -1, "scores": {"am": -1}}]}') == [
        Utterance("u", (Hypothesis("a", {"am": -1.0}),))
    ]


def test_null_means_absent():
    first, second = '{"text": "a", "am_score": null, "scores": {"am": null}}', '{"text": "b", "scores": null}'
    line = f'{{"id": null, "ref": null, "hyps": [{first}, {second}]}}'
    assert parse(line) == [Utterance("1", (Hypothesis("a"), Hypothesis("b")))]


def test_without_an_id_the_number_of_the_line_serves():
    assert [u.id for u in parse("", '{"hyps": [{"text": "a"}]}', " \n", '{"hyps": [{"text": "b"}]}')] == ["2", "4"]


def test_unknown_fields_are_passed_through():
    line = '{"id": "u", "hyps": [{"text": "a", "tokens": [1, 2]}], "source": {"file": "a.wav", "gain": 1e-3}}'
    (utterance,) = parse(line)
    assert utterance.extra == {"source": {"file": "a.wav", "gain": 0.001}}
    assert utterance.hypotheses[0].extra == {"tokens": [1, 2]}
    assert rendered(utterance) == json.loads(line)


def test_a_field_of_ours_cannot_be_overwritten_from_extra():
    utterance = Utterance("u", (Hypothesis("a", {}, {"text": "b", "am_score": 1}),), None, {"id": "v", "hyps": []})
    assert rendered(utterance) == {"id": "u", "hyps": [{"text": "a"}]}


def test_an_empty_text_and_an_empty_reference_are_not_missing():
    (utterance,) = parse('{"id": "u", "ref": "", "hyps": [{"text": ""}]}')
    assert utterance == Utterance("u", (Hypothesis(""),), "")
    assert rendered(utterance)["ref"] == ""


def test_what_utf8_cannot_hold_is_escaped_in_unknown_fields():
    (utterance,) = parse('{"id": "u", "hyps": [{"text": "a"}], "note": "\\ud800"}')
    (line,) = written("jsonl", [utterance])[""]
    assert line.encode("utf-8")
    assert parse(line) == [utterance]


@given(st.dictionaries(st.text(max_size=4), st.floats(allow_nan=False, allow_infinity=False), max_size=3))
def test_any_finite_scores_come_back(scores):
    utterance = Utterance("u", (Hypothesis("a", scores),))
    assert round_trip("jsonl", [utterance]) == [utterance]


def test_an_infinite_score_is_not_written():
    with pytest.raises(ValueError, match="JSON"):
        rendered(Utterance("u", (Hypothesis("a", {"lm": float("inf")}),)))


def of(candidate: str) -> str:
    return f'{{"id": "u", "hyps": [{{"text": "a"}}, {candidate}]}}'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("做作业", "one JSON object a line"),
        ('{"id": "u", "hyps": [{"text": "a"}]} {}', "one JSON object a line"),
        ("[" * 100_000, "one JSON object a line"),
        ('{"id": "u", "n": ' + "9" * 5000 + "}", "one JSON object a line"),
        ('"做作业"', "an object like"),
        ('{"id": true, "hyps": [{"text": "a"}]}', "a string as id, not true or false"),
        ('{"id": -Infinity, "hyps": [{"text": "a"}]}', "a string as id, not a number"),
        ('{"id": "u", "ref": ["a"], "hyps": [{"text": "a"}]}', "a string as ref, not an array"),
        ('{"id": "u"}', "an array of candidates as hyps, not null or nothing"),
        ('{"id": "u", "hyps": {"text": "a"}}', "an array of candidates as hyps, not an object"),
        (of('"b"'), "as hyps[1], not a string"),
        (of("{}"), "a string as hyps[1].text, not null or nothing"),
        (of('{"text": 3}'), "a string as hyps[1].text, not a number"),
        (of('{"text": "\\ud800"}'), "text as hyps[1].text, not half of a surrogate pair"),
        (of('{"text": "b", "scores": [1]}'), "as hyps[1].scores, not an array"),
        (of('{"text": "b", "scores": {"am": "-1"}}'), "a number or null as hyps[1].scores.am, not a string"),
        (of('{"text": "b", "scores": {"am": true}}'), "a number or null as hyps[1].scores.am, not true or false"),
        (of('{"text": "b", "scores": {"am": NaN}}'), "finite numbers, and null where there is none, not NaN"),
        (of('{"text": "b", "scores": {"am": Infinity}}'), "finite numbers"),
        (of('{"text": "b", "am_score": 1e999}'), "finite numbers"),
        (of('{"text": "b", "am_score": 1' + "0" * 400 + "}"), "a finite number as hyps[1].am_score"),
        (of('{"text": "b", "am_score": -1, "scores": {"am": -2}}'), "one acoustic score in hyps[1]"),
        ('{"id": "u", "hyps": [{"text": "a"}], "confidence": NaN}', "finite numbers"),
    ],
)
def test_a_line_that_does_not_fit_is_refused_with_what_was_expected(line, expected):
    with pytest.raises(NBestError) as caught:
        parse('{"hyps": [{"text": "a"}]}', "", line)
    assert str(caught.value).startswith("lists.jsonl:3: cannot read ")
    assert expected in caught.value.hint


def test_the_homework_lists_come_back():
    with HOMEWORK.open(encoding="utf-8") as lines:
        found = list(NBEST_FORMATS["jsonl"].parse(Source.of(lines, HOMEWORK.name)))
    assert len(found) == 20
    assert found[0] == Utterance("hw-0", tuple(map(Hypothesis, ("做做业", "坐坐业", "做作业"))), "做作业")
    assert round_trip("jsonl", found) == found


# Plain text


def test_a_blank_line_ends_a_list_and_several_end_it_once():
    lines = ["", "做做业\n", "坐坐业\n", "\n", " \t\n", "做作业"]
    assert parsed("plain", {"": lines}) == [
        Utterance("1", (Hypothesis("做做业"), Hypothesis("坐坐业"))),
        Utterance("2", (Hypothesis("做作业"),)),
    ]


def test_plain_lists_are_written_with_a_blank_line_between_them():
    assert written("plain", LISTS)[""] == [
        "做做业", "做作业", "", "he  said", " he sat ", "he set", "", "只有一个",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", " ", "　", "a\nb", "a\r"])
def test_a_plain_list_refuses_a_text_that_would_not_come_back(text):
    spoilt = replace(LISTS[0], hypotheses=(Hypothesis("a"), Hypothesis(text)))
    with pytest.raises(CharlmError, match="of utterance 'a'") as caught:
        written("plain", [spoilt])
    assert "JSON lines" in caught.value.hint
