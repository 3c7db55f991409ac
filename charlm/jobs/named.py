"""Several runs, each a score with a name: what they say of lists of candidates, remembered by content.

A run is called like its directory, or as `NAME=PATH` says.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from charlm import storage
from charlm.choices import Choices
from charlm.config.training import ReadPrecision
from charlm.errors import ConfigError, RunError
from charlm.jobs.remember import Remembered, fingerprint
from charlm.jobs.treatment import AS_TRAINED, Treatment
from charlm.nbest import Utterance
from charlm.reranking.error_rates import Metric
from charlm.reranking.listing import IMPOSSIBLE, factors, from_list, names_from_lists, wanting
from charlm.text.codec import Codec
from charlm.text.vocab import EOS, UNK

if TYPE_CHECKING:
    from charlm.runs.cloze import ClozeRun
    from charlm.runs.run import Run

CHUNK = 4096  # texts that are scored between two looks at what is waiting

# What an unknown token costs: its 16 bits for each UTF-16 unit on top of P(<UNK>), or P(<UNK>) alone.
UNKNOWN: Choices[str] = Choices("treatment of unknown tokens", {"charged": "charged", "counted": "counted"})
UNIGRAM = "unigram:"  # before the name of a run: what the frequencies of its vocabulary alone say of a text
_COLUMNS = {"charged": "charged", "counted": "log_prob"}  # of what is remembered


def unigram_of(run: str) -> str:
    """The name of the score that a run's vocabulary gives: the tokens of a text by their frequencies alone.

    >>> unigram_of("fwd")
    'unigram:fwd'
    """
    return UNIGRAM + run


def uncounted(name: str, path: str | Path) -> ConfigError:
    """The error about frequencies that nobody counted."""
    return ConfigError(
        f"{name}: the vocabulary of {path} has no counts, so it knows no frequencies",
        hint="take that of another run, or of one that is trained for it: charlm train TEXT --model unigram",
    )


def named_runs(given: Iterable[str]) -> dict[str, Path]:
    """Runs by their names, from directories or NAME=PATH; raises ConfigError for names that cannot be told apart.

    >>> named_runs(["checkpoints/fwd/", "old=lm/2019"])
    {'fwd': PosixPath('checkpoints/fwd'), 'old': PosixPath('lm/2019')}
    """
    found: dict[str, Path] = {}
    for one in given:
        name, equals, path = one.partition("=")
        if not equals or storage.exists(Path(one)):
            name, path = "", one
        if not path:
            raise ConfigError("an empty name was given where a run is wanted", hint="is a variable unset?")
        name = name or Path(path).resolve().name
        if not re.fullmatch(r"[^\s*=+·\"'\\]+", name):
            raise ConfigError(
                f"{name!r} is no name of a score", hint=f"name it without spaces, `*` and `=`: fwd={path}"
            )
        if name in names_from_lists() or name.startswith(UNIGRAM):
            raise ConfigError(
                f"a run called {name} would be taken for the score of that name", hint=f"call it otherwise: lm={path}"
            )
        if name in found:
            raise ConfigError(
                f"two runs are called {name}: {found[name]} and {path}", hint=f"name one of them: other={path}"
            )
        found[name] = Path(path)
    return found


@dataclass
class NamedRuns:
    """Runs whose log-probabilities are named scores.

    paths     name -> run directory
    unknown   charged or counted: whether unknown tokens are spelled out
    remember  whether scores are kept from call to call, in the cache folder
    treatment what of a candidate's text is scored
    precision of the runs' products, float32, fp16 or bf16
    """

    paths: Mapping[str, Path]
    unknown: str = "charged"
    device: str = "cpu"
    remember: bool = True
    treatment: Treatment = AS_TRAINED
    precision: ReadPrecision = "float32"
    computed: int = 0
    recalled: int = 0
    tokens: int = 0
    unknown_tokens: int = 0
    _runs: dict[str, "Run | ClozeRun"] = field(default_factory=dict, repr=False)
    _fingerprints: dict[str, str] = field(default_factory=dict, repr=False)
    _memories: dict[str, Remembered] = field(default_factory=dict, repr=False)
    _begun: set[str] = field(default_factory=set, repr=False)
    _counted: dict[str, bool] = field(default_factory=dict, repr=False)
    unwritable: bool = False

    def __post_init__(self) -> None:
        self._value = UNKNOWN[self.unknown]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_runs": {}, "_memories": {}}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the scores that runs give."""
        return tuple(self.paths)

    @property
    def unigrams(self) -> tuple[str, ...]:
        """The names of the scores by the frequencies of their vocabularies."""
        return tuple(map(unigram_of, self.paths))

    @property
    def roundings(self) -> list[str]:
        """Why scores are not exact, of the runs that were asked."""
        return [run.rounding for run in self._runs.values() if run.rounding]

    def run(self, name: str) -> "Run | ClozeRun":
        """A run, loaded when it is first asked for."""
        if name not in self._runs:
            from charlm.runs.cloze import load_any

            self._runs[name] = load_any(self.paths[name], self.device, self.precision)
        return self._runs[name]

    def fingerprint(self, name: str) -> str:
        """What the run is; raises RunError where there is none."""
        if name not in self._fingerprints:
            if not storage.is_file(self.paths[name] / "run.json"):
                from charlm.runs.layout import read_facts

                read_facts(self.paths[name])  # says what is there instead
            try:
                self._fingerprints[name] = fingerprint(self.paths[name])
            except OSError as error:
                raise RunError(
                    f"cannot read {error.filename}: {storage.reason_of(error)}",
                    hint="check the permissions of the run's files",
                ) from error
        return self._fingerprints[name]

    def brought(
        self, utterances: Sequence[Utterance], metric: Metric, names: Iterable[str], *, floor: bool = False
    ) -> list[list[dict[str, float]]]:
        """For each candidate of each list the named scores of runs and of lists alone.

        names  all that will be weighed; own scores of the candidates are not repeated here
        floor  whether what is impossible to a run is held for IMPOSSIBLE nats instead of minus infinity
        """
        wanted = factors(list(names))
        texts = [candidate.text for utterance in utterances for candidate in utterance.hypotheses]
        listed: dict[str, int] = {}  # each text once, where it stands first
        for number, utterance in enumerate(utterances):
            for candidate in utterance.hypotheses:
                listed.setdefault(candidate.text, number)
        places = {text: number for number, text in enumerate(listed)}
        columns = {}
        for name in self.paths:
            unigram = unigram_of(name)
            if {name, unigram} & wanted:
                records = self._records(name, listed)
                if name in wanted:
                    columns[name] = records[_COLUMNS[self._value]].tolist()
                if unigram in wanted:
                    if not self.has_counts(name):
                        raise uncounted(unigram, self.paths[name])
                    columns[unigram] = records["unigram"].tolist()
                rows = [places[text] for text in texts]
                self.tokens += int(records["tokens"][rows].sum())
                self.unknown_tokens += int(records["unknown"][rows].sum())
        lowest = IMPOSSIBLE if floor else -math.inf
        found = []
        for utterance in utterances:
            own = [candidate.text for candidate in utterance.hypotheses]
            brought = from_list(own, metric, wanting(utterance, wanted))
            for text, row in zip(own, brought, strict=True):
                for name, column in columns.items():
                    row[name] = max(column[places[text]], lowest)
            found.append(brought)
        return found

    def has_counts(self, name: str) -> bool:
        """Whether the vocabulary of a run says how frequent its tokens are; that of an imported model may not."""
        if name not in self._counted:
            codec = self._runs[name].codec if name in self._runs else Codec.load(self.paths[name])
            self._counted[name] = codec.vocab.has_counts
        return self._counted[name]

    def readings(self, name: str, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """The tokens of texts in the order in which they are written, and the nats that each costs the run.

        The last one is the end, which a run that reads backwards finds before the first. A run that fills blanks says
        nothing of the end, and so none of it is told: the rest adds up to its score.
        """
        run = self.run(name)
        documents = [run.codec.line(run.reader.line(run.habitual(text))) for text in texts]
        found = []
        for document, log_probs in zip(documents, run.log_probs(documents), strict=True):
            strange = iter(document.unknown)
            tokens = [next(strange) if number == UNK else run.codec.vocab.tokens[number] for number in document.ids]
            pairs = [(token, -float(value)) for token, value in zip(tokens, log_probs, strict=True)]
            body, end = pairs[:-1], pairs[-1:]
            if run.score_name == "pll" and list(document.ids[-1:]) == [EOS]:
                end = []
            found.append([*(body[::-1] if run.codec.reverse else body), *end])
        return found

    def _records(self, name: str, listed: Mapping[str, int]) -> Any:
        """What a run says of different texts, remembered or computed; each with the number of its list, ascending."""
        texts, lists = list(listed), np.fromiter(listed.values(), np.int64, len(listed))
        if name not in self._memories:
            rounded = {"float32": "", "fp16": "h"}.get(self.precision, "b")  # other products give other scores
            identity = f"{self.fingerprint(name)[: 36 - len(rounded)]}-{self.treatment.mark}{rounded}"
            self._memories[name] = Remembered(identity if self.remember else "")
        memory = self._memories[name]
        found, known = memory.look_up(texts)
        missing = np.flatnonzero(~known)
        self.recalled += int(known.sum())
        self.computed += len(missing)
        for at in range(0, len(missing), CHUNK):
            rows = missing[at : at + CHUNK]
            run = self.run(name)
            together = np.split(rows, np.flatnonzero(np.diff(lists[rows])) + 1)
            asked = [[texts[row] for row in own] for own in together]
            read = self.treatment.of(run, asked, is_first=name not in self._begun)
            self._begun.add(name)
            scores = [score for own in run.score_lists(read, alike=True) for score in own]
            found["log_prob"][rows] = [score.counted for score in scores]
            found["charged"][rows] = [score.charged for score in scores]
            found["unigram"][rows] = [run.unigram(score.ids) for score in scores]
            found["tokens"][rows] = [score.tokens for score in scores]
            found["unknown"][rows] = [len(score.unknown) for score in scores]
            if self.remember:
                memory.add(found[rows])
                if memory.due:
                    self.unwritable |= not memory.save()
        return found

    def close(self) -> None:
        """Write what is new; call it in the end, and where work is broken off."""
        if self.remember:
            for memory in self._memories.values():
                self.unwritable |= not memory.save()

    def __enter__(self) -> "NamedRuns":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
