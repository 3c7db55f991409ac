"""`charlm poem write`: a poem with a person, whose answers come through a pipe here."""

import json
from pathlib import Path

import pytest

from charlm.cli import write
from charlm.poems.checking import check


@pytest.fixture
def writing(charlm, counts_of_verse):
    def run(*answers, options=(), form="五绝"):
        return charlm(
            "poem", "write", counts_of_verse, "--form", form, "--candidates", 4, *options,
            stdin="".join(f"{answer}\n" for answer in answers),
        )  # fmt: skip

    return run


def offered(err):
    """The lines that were offered, question by question."""
    asked, last = [], []
    for row in err.splitlines():
        words = row.split()
        if len(words) == 2 and words[0].isdigit():
            if words[0] == "1":
                last = []
                asked.append(last)
            last.append(words[1])
    return asked


def poem(out):
    return "".join(out.split())


def test_a_poem_of_chosen_lines_keeps_its_form(writing):
    ended = writing(1, 2, 1, 1)
    assert ended.code == 0 and check(poem(ended.out), "五绝").conforms
    first, second, third, fourth = offered(ended.err)
    assert ended.out == f"{first[0]}，{second[1]}。\n{third[0]}，{fourth[0]}。\n"


def test_a_line_of_ones_own_is_taken_and_the_rest_fits_it(writing):
    ended = writing("雪化溪声涨", "柴门昼未关。", 1, 1)
    assert ended.code == 0 and ended.out.startswith("雪化溪声涨，柴门昼未关。\n")
    assert check(poem(ended.out), "五绝").conforms


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("溪山", "has 2 characters; 5 are wanted"),
        ("柴门昼未开", "it does not rhyme with 山"),
        ("柴外昼未关", "at 2:2: "),
        ("hello", "is no line of Chinese characters"),
        ("9", "there is no line 9"),
    ],
)
def test_a_line_with_a_fault_is_told_at_once_and_not_taken(writing, typed, said):
    ended = writing("雪化一溪山", typed, "q") if "rhyme" in said else writing("雪化溪声涨", typed, "q")
    assert said in " ".join(ended.err.split()) and "hint: " in ended.err
    assert ended.code == 0 and ended.out.count("，") == 1 and "。" not in ended.out


def test_undo_and_drawing_again(writing):
    ended = writing("r", 1, "u", 1, "u", "u", "q")
    asked = offered(ended.err)
    assert asked[0] != asked[1]  # drawn again
    assert asked[3] == asked[0]  # after the line was taken back, the first ones are offered once more
    assert "there is no line to take back" in ended.err and ended.out == ""


def test_the_seed_decides_what_is_offered(writing):
    first, again, other = (offered(writing("q", options=("--seed", seed)).err) for seed in (1, 1, 2))
    assert first == again != other


def test_the_draft_is_kept_after_each_line(writing):
    ended = writing("雪化溪声涨", options=("-o", "draft.txt"))  # the input ends here
    assert ended.code == 0 and Path("draft.txt").read_text("utf-8") == "雪化溪声涨，"
    writing("q", options=("-o", "draft.txt")).refused("draft.txt exists already")
    # The first line that was asked for is the only one that is offered.
    ended = writing(1, "柴门昼未关", 1, 1, options=("-o", "more.txt", "--first-line", "雪化溪声涨", "--json"))
    told = json.loads(ended.out)
    assert told["whole"] and told["text"] == Path("more.txt").read_text("utf-8") and told["lines"][0] == "雪化溪声涨"


@pytest.mark.parametrize("output", [(), ("-o", "draft.txt")])
def test_nothing_is_lost_by_ctrl_c(writing, monkeypatch, output):
    answers = iter(["雪化溪声涨", "柴门昼未关"])

    def answer():
        for said in answers:
            return said
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "_answer", answer)
    ended = writing(options=output)
    kept = Path("draft.txt").read_text("utf-8") if output else ended.out
    assert ended.code == 130 and "stopped by Ctrl-C" in ended.err and kept == "雪化溪声涨，柴门昼未关。\n"


def test_the_whole_poem_is_left_by_enter_and_can_be_gone_back_from(writing):
    ended = writing(1, 1, 1, 1, "u", 2, "")
    asked = offered(ended.err)
    assert ended.code == 0 and asked[4] == asked[3] and ended.out.endswith(f"，{asked[3][1]}。\n")


def test_demands_are_kept_and_what_cannot_be_had_is_refused(writing, charlm):
    ended = writing(1, 1, 1, 1, options=("--acrostic", "春山人月"))
    lines = poem(ended.out).replace("。", "，").split("，")
    assert "".join(line[:1] for line in lines) == "春山人月"
    writing(1, options=("--rhyme", "屋")).refused("cannot rhyme in 屋", code=2)
    charlm("poem", "write", "gone", "--form", "五绝").refused("gone")


def test_an_answer_in_another_encoding_is_told(charlm, counts_of_verse):
    answers = "春山\n".encode("gb18030")
    charlm("poem", "write", counts_of_verse, "--form", "五绝", stdin=answers).refused("is not UTF-8 text")


def test_a_theme_ranks_lines_of_a_run_that_was_told_none(writing):
    options = ("--candidates", 64, "--lines", 3)
    assert not all("春" in line for line in offered(writing("q", options=options).err)[0])
    themed = writing("q", options=(*options, "--theme", "春"))
    assert "the theme only ranks" in themed.err
    assert "春" in offered(themed.err)[0][0]


def test_a_second_run_that_would_do_nothing_is_no_option(writing, shared_run):
    ended = writing("q", options=("--backward", shared_run))
    assert ended.code == 2 and "No such option" in ended.err
