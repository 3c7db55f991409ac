"""A poem line by line: whatever is suggested can be taken, and the poem in the end keeps its form."""

import pytest
from small import Fixed
from test_automaton import TOKENS, automaton

from charlm.composing.automaton import Automaton
from charlm.composing.drafting import drafted, suggestions
from charlm.composing.writing import Ranking
from charlm.config.sampling import SamplingConfig
from charlm.errors import ConfigError
from charlm.poems.checking import check
from charlm.poems.form import find_form
from charlm.poems.sounds import rhyme_book

EVEN = Fixed(*[1 / len(TOKENS)] * len(TOKENS))
CONFIG = SamplingConfig(seed=3)


def making(name, **asked):
    form = find_form(name)
    base = automaton(name)
    return lambda given: Automaton(form, rhyme_book(form.rhyme_book), base.tokens, fixed=given, **asked)


@pytest.mark.parametrize("name", ["五绝", "七律", "如梦令"])
def test_a_poem_of_suggestions_keeps_its_form(name):
    make, lines = making(name), []
    model = Fixed(*[1 / len(automaton(name).tokens)] * len(automaton(name).tokens))
    while not (draft := drafted(make, lines)).is_whole:
        found = suggestions(model, draft, CONFIG, range(len(lines) * 8, len(lines) * 8 + 4))
        assert found and all(len(one.line) in draft.lengths for one in found)
        lines.append(found[-1].line)
    assert check("，".join(lines), name).conforms and drafted(make, lines).lengths == []


def test_suggestions_are_different_and_the_likeliest_stands_first():
    found = suggestions(EVEN, drafted(making("五绝"), []), CONFIG, range(8))
    assert len({one.line for one in found}) == len(found)
    assert [one.merit for one in found] == sorted((one.merit for one in found), reverse=True)
    assert found == suggestions(EVEN, drafted(making("五绝"), []), CONFIG, range(8))


def test_a_line_that_no_poem_goes_on_from_is_refused_with_its_place():
    with pytest.raises(ConfigError, match=r"山 is level .* at line 1, character 4"):
        drafted(making("五绝"), ["白明依山尽"])
    with pytest.raises(ConfigError, match=r"line 2, character 5.*does not rhyme with 山"):
        drafted(making("五绝"), ["雪化一溪山", "柴门昼未开"])


def test_lines_with_characters_that_the_model_does_not_know_are_continued():
    draft = drafted(making("五绝"), ["白日依山尽", "黄河入海流"])
    assert draft.marks == "，。" and "黄" not in TOKENS[2:4] and draft.lengths == [5]
    found = suggestions(EVEN, draft, CONFIG, range(3))
    assert all(check(f"白日依山尽，黄河入海流，{one.line}，□□□□□", "五绝").conforms for one in found)


def test_a_line_that_the_form_repeats_is_suggested_alone():
    name = "如梦令"
    make, lines = making(name), []
    model = Fixed(*[1 / len(automaton(name).tokens)] * len(automaton(name).tokens))
    for _ in range(5):
        lines.append(suggestions(model, drafted(make, lines), CONFIG, range(2))[0].line)
    assert [one.line for one in suggestions(model, drafted(make, lines), CONFIG, range(4))] == [lines[4]]


def test_a_line_that_says_the_theme_is_offered_first():
    draft = drafted(making("五绝"), [])
    plain = suggestions(EVEN, draft, CONFIG, range(8))
    theme = plain[-1].line[0]
    found = suggestions(EVEN, draft, CONFIG, range(8), ranking=Ranking(theme))
    says = [theme in one.line for one in found]
    assert says[0] and says == sorted(says, reverse=True)
    assert found[0].merit > plain[0].merit


def test_what_an_earlier_line_said_of_the_theme_counts_no_more():
    first = suggestions(EVEN, drafted(making("五绝"), []), CONFIG, range(8))[0].line
    draft = drafted(making("五绝"), [first])
    assert suggestions(EVEN, draft, CONFIG, range(8), ranking=Ranking(first[0])) == suggestions(
        EVEN, draft, CONFIG, range(8)
    )
