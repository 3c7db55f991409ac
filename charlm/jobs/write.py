"""A poem that a person writes with a run, line by line: what may come next, and what is wrong with a line of theirs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from charlm.appraising.verses import marked
from charlm.composing.automaton import Automaton
from charlm.composing.demands import joined
from charlm.composing.drafting import Drafted, Suggestion, drafted, suggestions
from charlm.composing.ways import Place
from charlm.composing.writing import Ranking
from charlm.config.poems import PoemConfig
from charlm.config.sampling import SamplingConfig
from charlm.errors import ConfigError
from charlm.jobs.sample import keeping, telling
from charlm.poems.checking import check
from charlm.poems.form import Form, find_form
from charlm.poems.judgement import Fault
from charlm.poems.parsing import LOST, poem_of
from charlm.runs.run import Run
from charlm.text.decoding import Note, nobody

ROUNDS = 1_000  # times that a line may be drawn again before its samples are those of the next


@dataclass
class Workbench:
    """A poem in the making. Every change gives a new state, so that each can be undone.

    lines  those that are written, without marks
    note   is told what the run was not trained to be told
    """

    run: Run
    asked: PoemConfig
    config: SamplingConfig
    lines: list[str] = field(default_factory=list)
    rounds: int = 0
    note: Note = nobody

    def __post_init__(self) -> None:
        """Raises ConfigError where the form cannot be had as it is asked for."""
        if self.asked.form is None:
            raise ConfigError("no form was given", hint="for example --form 七绝; `charlm poem forms` lists them")
        self.form: Form = find_form(self.asked.form)
        self.base = keeping(self.run, self.form, self.asked)
        self.model, self.told = telling(self.run, self.asked, self.note)
        self.draft: Drafted = drafted(self._automaton, self.lines)

    def _automaton(self, given: Mapping[Place, str]) -> Automaton:
        return replace(self.base, fixed=joined(self.base.fixed, given))

    @property
    def is_whole(self) -> bool:
        """Whether the poem has all its lines."""
        return self.draft.is_whole

    @property
    def text(self) -> str:
        """The lines with their marks, a couplet on each line; empty where nothing is written."""
        if self.is_whole:
            whole = marked(tuple(self.lines), self.form)
        else:
            whole = "".join(line + mark for line, mark in zip(self.lines, self.draft.marks, strict=True))
        return whole.replace("。", "。\n")

    def suggest(self) -> list[Suggestion]:
        """Lines that may come next, the likeliest first; others when asked again."""
        first = (len(self.lines) * ROUNDS + self.rounds) * self.asked.candidates
        self.rounds += 1
        numbers = range(first, first + self.asked.candidates)
        controls = self.run.codec.vocab.controls
        ranking = Ranking(self.asked.theme or "", self.asked.theme_strength)
        return suggestions(
            self.model, self.draft, self.config, numbers, told=self.told, controls=controls, ranking=ranking
        )

    def take(self, line: str) -> None:
        """Write one more line. Raises ConfigError where the poem cannot go on so; then nothing has changed."""
        if len(line) not in self.draft.lengths:
            wanted = " or ".join(map(str, self.draft.lengths))
            raise ConfigError(f"{line} has {len(line)} characters; {wanted} are wanted", hint="type the line once more")
        self.draft = drafted(self._automaton, [*self.lines, line])
        self.lines.append(line)
        self.rounds = 0

    def undo(self) -> bool:
        """Take the last line back; False where there is none."""
        if not self.lines:
            return False
        self.lines.pop()
        self.draft = drafted(self._automaton, self.lines)
        self.rounds = 0
        return True

    def faults(self, line: str) -> list[Fault]:
        """What the checker finds wrong in one more line, all that is not yet written being unknown."""
        lines = [*self.lines, line]
        variant = next((one for one in self.form.variants if one.lengths[: len(lines)] == tuple(map(len, lines))), None)
        if variant is None:
            return []
        rest = [LOST * size for size in variant.lengths[len(lines) :]]
        judgement = check(poem_of("，".join([*lines, *rest])), self.form, self.base.book, self.asked.strictness)
        return [fault for fault in judgement.faults if fault.line == len(lines)]
