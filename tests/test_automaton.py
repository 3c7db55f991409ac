"""Poems that are written under a form keep it, whatever a model would rather say."""

import random

import numpy as np
import pytest
import torch

from charlm.composing.automaton import Automaton
from charlm.composing.demands import acrostic, ensure, first_lines, joined
from charlm.errors import ConfigError
from charlm.poems.checking import check
from charlm.poems.form import find_form, form_names, parse_form
from charlm.poems.sounds import rhyme_book
from charlm.text.vocab import EOS, SPECIALS, UNK

BOOK = rhyme_book("pingshui")


def spoken(book=BOOK, least=12):
    """Characters of every reading, so that each rhyme has some."""
    found = {}
    for group in book.groups:
        for character in sorted(book.members(group))[:least]:
            found[character] = None
    return [*SPECIALS, "，", "。", *found]


TOKENS = spoken()
CILIN = spoken(rhyme_book("cilin"), 60)


def automaton(name, strictness="common", **asked):
    form = find_form(name)
    book = rhyme_book(form.rhyme_book)
    return Automaton(form, book, TOKENS if form.rhyme_book == "pingshui" else CILIN, strictness, **asked)


def written(machine, seed):
    """A poem of which each token is drawn among all that are allowed, as by a model that knows nothing."""
    chance, state, text = random.Random(seed), machine.start(), ""
    for _ in range(400):
        possible = machine.allowed(state).nonzero()[:, 0].tolist()
        assert possible, f"a dead end after {text}"
        token = chance.choice(possible)
        if token == EOS:
            return text
        if token == UNK:
            text += machine.fixed.get((len(text.replace("。", "，").split("，")) - 1, len(state.line)), "？")
        else:
            text += machine.tokens[token]
        state = machine.advance(state, token)
    raise AssertionError("it does not end")


def told(judgement):
    return [(fault.rule, fault.line, fault.column) for fault in judgement.faults]


@pytest.mark.parametrize("strictness", ["strict", "common", "free"])
@pytest.mark.parametrize("name", form_names())
def test_whatever_is_drawn_keeps_the_form_by_a_checker_that_shares_no_code(name, strictness):
    machine = automaton(name, strictness)
    for seed in range(6):
        poem = written(machine, seed)
        judgement = check(poem, name, strictness=strictness)
        assert not judgement.faults, (poem, told(judgement))


def parts(poem):
    return poem.replace("。", "，").rstrip("，").split("，")


def test_a_tune_says_the_end_of_a_line_again_where_people_do():
    """Of 122 poems of 忆秦娥 by people 120 do so; without it the tune was written as nobody writes it."""
    for seed in range(8):
        lines = parts(written(automaton("忆秦娥"), seed))
        assert all(len(lines[n]) == 3 and lines[n - 1].endswith(lines[n]) for n in (2, 7)), lines


def test_a_variant_that_is_seldom_written_is_taken_where_nothing_else_is_left():
    heads = acrostic("春江花月夜山水风云雨", 1, find_form("忆秦娥"))
    cilin = rhyme_book("cilin")
    machine = Automaton(find_form("忆秦娥"), cilin, CILIN, fixed=heads)
    assert {way.spot.variant for way in automaton("忆秦娥").start().ways} == {0, 1}
    assert {way.spot.variant for way in machine.start().ways} <= {2, 3} and machine.start().ways
    lines = parts(written(machine, 1))
    assert "".join(line[0] for line in lines) == "春江花月夜山水风云雨"


def test_what_one_variant_says_twice_and_another_does_not_is_left_to_the_model():
    """采桑子 was always written with both short lines alike, as 14 of 162 people do."""
    machine, found = automaton("采桑子"), set()
    for seed in range(3):
        poem, state = written(machine, seed), machine.start()
        first = parts(poem)[:2]
        for token in [machine.tokens.index(c) for c in "，".join(first)]:
            state = machine.advance(state, token)
        state = machine.advance(state, next(t for t in (2, 3) if machine.allowed(state)[t]))
        again = machine.inventory.id(first[1][0])
        assert machine.allowed(state)[again] and int(machine.allowed(state).sum()) > 1
        for character in first[1]:
            assert machine.allowed(state)[machine.inventory.id(character)]
            state = machine.advance(state, machine.inventory.id(character))
        assert {way.spot.line.repeats for way in state.ways} == {True, False}
        found.add(parts(poem)[1] == parts(poem)[2])
    assert False in found


@pytest.mark.parametrize("name", ["五绝", "七绝", "五律", "七律"])
def test_an_acrostic_of_any_characters_that_is_accepted_is_kept_in_every_place(name):
    form, chance = find_form(name), random.Random(3)
    accepted = 0
    for number in range(12):
        head = "".join(chance.sample(TOKENS[4:], len(form.variants[0].lines)))
        column = chance.choice([1, 2, 3, -2])
        machine = automaton(name, fixed=acrostic(head, column, form))
        if not machine.start().ways:
            with pytest.raises(ConfigError, match="cannot stand"):
                ensure(machine)
            continue
        accepted += 1
        poem = written(machine, number)
        lines = [line for line in poem.replace("。", "，").split("，") if line]
        assert "".join(line[column - 1 if column > 0 else column] for line in lines) == head
        assert not check(poem, name).faults
    assert accepted


def test_no_character_is_given_a_tone_that_verse_seldom_gives_it_unless_a_person_asked_for_it():
    form, tokens = find_form("五绝"), [*TOKENS, *(c for c in "风生间敲梦句卷种" if c not in TOKENS)]
    free = Automaton(form, BOOK, tokens, "strict")
    oblique, level = free.inventory.with_tones("仄", False), free.inventory.with_tones("平", False)
    for characters, seldom, often in (("风生间敲", oblique, level), ("梦句卷种", level, oblique)):
        ids = [free.inventory.id(character) for character in characters]
        assert not seldom[ids].any() and often[ids].all()
    for seed in range(20):
        assert not any(reading.seldom for reading in check(written(free, seed), "五绝", strictness="strict").readings)
    given = Automaton(form, BOOK, tokens, "strict", fixed=first_lines("入风春江落", form))
    ensure(given)
    found = check(written(given, 1), "五绝", strictness="strict").readings
    assert [reading.seldom for reading in found if reading.character == "风"] == [True]


def test_a_character_that_the_model_does_not_know_stands_where_it_is_asked_for():
    missing = next(c for c in sorted(BOOK.members("东"), reverse=True) if c not in TOKENS)
    machine = automaton("七绝", fixed={(1, 6): missing})
    ensure(machine)
    poem = written(machine, 1)
    assert poem[14] == missing and not check(poem, "七绝").faults


def test_the_rhyme_that_is_asked_for_is_used_and_no_character_rhymes_with_itself():
    machine = automaton("七律", groups=["阳"])
    for seed in range(10):
        ends = written(machine, seed)[-2::-32]
        lines = written(machine, seed).replace("。", "，").split("，")
        rhymed = [lines[number][-1] for number in (1, 3, 5, 7)]
        assert ends and set(rhymed) <= BOOK.members("阳") and len(set(rhymed)) == 4


def test_lines_that_a_tune_says_twice_are_said_twice():
    lines = [line for line in written(automaton("如梦令"), 2).replace("。", "，").split("，") if line]
    assert lines[4] == lines[5]


def test_given_lines_are_continued():
    form = find_form("五绝")
    machine = automaton("五绝", fixed=first_lines("白日依山尽，黄河入海流", form))
    ensure(machine)
    poem = written(machine, 5)
    assert poem.startswith("白日依山尽，黄河入海流。") and not check(poem, "五绝").faults


def test_what_cannot_be_had_is_refused_with_its_place_and_the_nearest_strictness_that_allows_it():
    form = find_form("七绝")
    with pytest.raises(ConfigError, match="春江花月 has 4 characters; 七律 has 8 lines"):
        acrostic("春江花月", 1, find_form("七律"))
    with pytest.raises(ConfigError, match="--column 9"):
        acrostic("春江花月", 9, form)
    level = first_lines("春江花明", form)
    with pytest.raises(ConfigError, match=r"明 is level .*line 1, character 4") as refused:
        ensure(automaton("七绝", fixed=level))
    assert "--strictness free allows it" in refused.value.hint
    with pytest.raises(ConfigError, match="cannot rhyme in 屋") as refused:
        ensure(automaton("七绝", groups=["屋"]))
    assert "东" in refused.value.hint
    with pytest.raises(ConfigError, match="both asked for at line 1, character 1"):
        joined(level, acrostic("月江花明", 1, form))


def test_ends_that_do_not_rhyme_with_each_other_are_told_as_such():
    with pytest.raises(ConfigError, match="does not rhyme with 东"):
        ensure(automaton("七绝", fixed={(1, 6): "东", (3, 6): "阳"}))


def test_lines_of_a_book_are_not_said_again_even_where_their_last_character_is_given():
    class Known:
        def endings(self, beginning, codes, tail):
            return np.array([(beginning + chr(code) + tail)[-3:] in barred for code in codes])

    free = automaton("五绝")
    barred = {line[-3:] for seed in range(3) for line in written(free, seed).replace("。", "，").split("，") if line}
    for fixed in ({}, {(3, 4): next(iter(barred))[-1]}):
        machine = automaton(
            "五绝", "free", fixed=fixed if free.book.readings(next(iter(barred))[-1]) else {}, quotes=Known()
        )
        if not machine.start().ways:
            continue
        for seed in range(20):
            assert not barred & {line[-3:] for line in written(machine, seed).replace("。", "，").split("，")}


def test_the_end_of_a_line_that_is_said_again_was_a_line_of_the_book_now_and_then():
    """忆秦娥 says the last three characters of a line again as a line of their own, and then nothing else was left."""

    class Known:
        def endings(self, beginning, codes, tail):
            return np.array([beginning + chr(code) + tail in barred for code in codes])

    barred = {parts(written(automaton("忆秦娥"), seed))[n] for seed in range(12) for n in (2, 7)}
    machine = Automaton(find_form("忆秦娥"), rhyme_book("cilin"), CILIN, quotes=Known())
    for seed in range(12):
        assert not barred & {*parts(written(machine, seed))}


def test_a_vocabulary_without_marks_is_refused():
    with pytest.raises(ConfigError, match="does not know ，"):
        Automaton(find_form("五绝"), BOOK, [*SPECIALS, "春", "山"])


def test_a_form_of_a_user_is_kept():
    text = 'name = "我的"\ngenre = "词"\n[[variants]]\nlines = """\n中仄平 a\n平平仄仄\n中平 a\n"""\n'
    form = parse_form(text, "mine.toml")
    machine = Automaton(form, rhyme_book("cilin"), CILIN)
    poem = written(machine, 1)
    assert [len(line) for line in poem.replace("。", "，").split("，")[:3]] == [3, 4, 2]
    assert not check(poem, form).faults


def test_masks_do_not_depend_on_the_order_of_ways():
    one, other = automaton("水调歌头"), automaton("水调歌头")
    state, same = one.start(), other.start()
    for token in range(len(CILIN)):
        if one.allowed(state)[token]:
            state, same = one.advance(state, token), other.advance(same, token)
            break
    assert torch.equal(one.allowed(state), other.allowed(same))
