"""A poem line by line: what may come next is drawn under the automaton, with all lines so far as given ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from torch import Tensor

from charlm.composing.automaton import Automaton, Written
from charlm.composing.demands import ensure
from charlm.composing.ways import Place
from charlm.composing.writing import PLAIN, Ranking
from charlm.config.sampling import SamplingConfig
from charlm.errors import ConfigError
from charlm.models.base import LanguageModel
from charlm.sampling import sample
from charlm.scoring import log_probs_of_lines
from charlm.text.vocab import EOS, UNK

Automata: TypeAlias = Callable[[Mapping[Place, str]], Automaton]  # given characters -> the automaton that keeps them
MARKS = 2  # the mark after a line, and the end


@dataclass(frozen=True)
class NextLine:
    """A `Constraint`: an automaton from a state of it on, until the line that begins there has its mark."""

    automaton: Automaton
    begun: Written

    def start(self) -> Written:
        """Before the first character of the line."""
        return self.begun

    def allowed(self, state: Written) -> Tensor:
        """What the automaton allows; nothing but the end where the line is written."""
        if number_of(state) > number_of(self.begun):
            return self.automaton.inventory.only(EOS)
        return self.automaton.allowed(state)

    def advance(self, state: Written, token: int) -> Written:
        """As the automaton."""
        return self.automaton.advance(state, token)


def number_of(state: Written) -> int:
    """Which line is being written, from 0."""
    return next(iter(state.ways)).spot.number


@dataclass(frozen=True)
class Suggestion:
    """A line that may come next, and its merit: nats per token, the mark after it among them, more for its theme."""

    line: str
    merit: float


@dataclass(frozen=True)
class Drafted:
    """A poem so far.

    ids     of its lines with their marks
    state   of the automaton after them
    marks   after each line
    """

    automaton: Automaton
    ids: tuple[int, ...]
    state: Written
    marks: str

    @property
    def is_whole(self) -> bool:
        """Whether a poem of the form may end here, and need not go on."""
        return all(way.spot.is_whole for way in self.state.ways)

    @property
    def lengths(self) -> list[int]:
        """How many characters the next line may have."""
        return sorted({len(way.spot.line) for way in self.state.ways if not way.spot.is_whole})


def drafted(automata: Automata, lines: Sequence[str]) -> Drafted:
    """A poem that has these lines so far. Raises ConfigError where none goes on so, with the place and the reason."""
    given = {(n, column): c for n, line in enumerate(lines) for column, c in enumerate(line)}
    automaton = automata(given)
    ensure(automaton)
    state, ids, marks = automaton.start(), [], ""
    for number, line in enumerate(lines):
        for column, character in enumerate(line):
            token = automaton.inventory.id(character)
            if not bool(automaton.allowed(state)[token]):
                raise ConfigError(f"{character} cannot stand at line {number + 1}, character {column + 1}",
                                  hint="choose another character")  # fmt: skip
            state = automaton.advance(state, token)
            ids.append(token)
        after = _marked(automaton, state)
        if after is None:
            raise ConfigError(f"line {number + 1} is not whole: {line} has {len(line)} characters",
                              hint=f"`charlm poem forms {automaton.form.name}` shows the lengths")  # fmt: skip
        mark, token, state = after
        ids.append(token)
        marks += mark
    return Drafted(automaton, tuple(ids), state, marks)


def _marked(automaton: Automaton, state: Written) -> tuple[str, int, Written] | None:
    """The mark after a line that leaves the most ways, its id and the state after it; None where the line goes on."""
    allowed = automaton.allowed(state)
    marks = {mark: token for mark, token in automaton.inventory.marks.items() if bool(allowed[token])}
    after = [(mark, token, automaton.advance(state, token)) for mark, token in marks.items()]
    return max(after, key=lambda one: len(one[2].ways), default=None)


def suggestions(
    model: LanguageModel,
    draft: Drafted,
    config: SamplingConfig,
    numbers: range,
    *,
    told: Sequence[int] = (),
    controls: int = 0,
    ranking: Ranking = PLAIN,
) -> list[Suggestion]:
    """Different lines that may come next, the likeliest first.

    numbers   of the samples that are drawn
    told      ids that are read before the poem: what the model is told of it
    controls  how many of the vocabulary's tokens are control tokens
    ranking   its theme: a line is liked the more, the more of it that no line so far says
    """
    said = "".join(draft.automaton.tokens[token] for token in draft.ids)
    read = [*told, *draft.ids]
    whole = replace(config, max_tokens=max(draft.lengths) + MARKS)
    found = sample(model, read, numbers, whole, controls=controls, constraint=NextLine(draft.automaton, draft.state))
    drawn = list(dict.fromkeys(tuple(one.ids) for one in found if one.ids))  # a poem that may end here may say no more
    scored = log_probs_of_lines(model, [[*read, *ids] for ids in drawn])
    lines = []
    for ids, log_probs in zip(drawn, scored, strict=True):
        line = _spelled(draft, ids)
        nats = float(log_probs[len(read) :].sum()) + ranking.of_theme(said + line) - ranking.of_theme(said)
        lines.append(Suggestion(line, nats / len(ids)))
    return sorted(lines, key=lambda one: -one.merit)


def _spelled(draft: Drafted, ids: Sequence[int]) -> str:
    """A line without its mark; `<UNK>` is the character that was given, or said in the line that is repeated."""
    automaton, line = draft.automaton, ""
    for token in ids[:-1]:
        place = (number_of(draft.state), len(line))
        known = automaton.tokens[token]
        line += (automaton.fixed.get(place) or draft.state.said[len(line)]) if token == UNK else known
    return line
