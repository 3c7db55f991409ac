"""weights.toml: how lists are ordered, by which runs, and how that was tuned; docs/reranking.md describes it."""

import datetime
import hashlib
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import charlm
from charlm import jsonfiles, storage
from charlm.errors import CharlmError, ConfigError
from charlm.jobs.named import unigram_of
from charlm.nbest import Utterance
from charlm.reranking.deciding import WAYS, Choosing, Decision
from charlm.reranking.error_rates import METRICS, Metric
from charlm.reranking.listing import factors, names_from_lists
from charlm.reranking.weighing import Formula

FORMAT = 1
SAMPLE = 64  # lists of the tuning of which the file keeps a hash
OF_LENGTH = {"cer": "characters", "wer": "words", "mer": "characters of Han and its like, words of other scripts"}
SHAPE = {
    "format": int,
    "metric": str,
    "unknown": str,
    "decision": str,
    "margin": float,
    "temperature": float,
    "risk_temperature?": float,
    "abstains": bool,
    "weights": {"*": float},
    "runs?": {"*": {"path": str, "fingerprint": str}},
    "tuned?": {"lists_digest?": str, "sample?": [str], "*": (str, float, int, bool, list, dict)},
}


def problem(reason: str) -> CharlmError:
    """An error about a file of weights, with the usual remedy."""
    return CharlmError(reason, hint="`charlm nbest tune RUN… DEV -o weights.toml` writes one; docs/reranking.md")


@dataclass
class ListsSeen:
    """What lists passed by: a digest that does not hang on their order, and a sample of SAMPLE of their hashes.

    asked  hashes of other lists; `met` are those of them that came
    """

    asked: frozenset[str] = frozenset()
    met: set[str] = field(default_factory=set)
    count: int = 0
    total: int = 0
    least: list[str] = field(default_factory=list)

    def add(self, utterance: Utterance) -> None:
        """One list."""
        content = "\x1f".join([str(utterance.id), *(one.text for one in utterance.hypotheses)])
        digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        name = digest[:8].hex()
        self.count += 1
        self.total = (self.total + int.from_bytes(digest)) % (1 << 128)
        if name in self.asked:
            self.met.add(name)
        if len(self.least) < SAMPLE or name < self.least[-1]:
            self.least = sorted({*self.least, name})[:SAMPLE]

    @property
    def digest(self) -> str:
        """Of all lists, whatever their order."""
        return f"{self.count}-{self.total:032x}"


@dataclass(frozen=True)
class KnownRun:
    """A run that weights were tuned with."""

    path: str
    fingerprint: str


@dataclass(frozen=True)
class WeightsFile:
    """What stands in weights.toml.

    decision  what is done with the scores
    metric    cer, wer or mer: the unit of errors and of `length`
    unknown   charged or counted: see `charlm score --unknown`
    runs      the runs that give scores, by name
    tuned     how it was found, for people; `lists_digest` and `sample` tell the lists again
    origin    where the file lies
    """

    decision: Decision
    metric: Metric
    unknown: str
    runs: Mapping[str, KnownRun]
    tuned: Mapping[str, Any] = field(default_factory=dict)
    origin: Path = Path("weights.toml")

    @property
    def used(self) -> set[str]:
        """The scores that count."""
        if self.decision.abstains:
            return set()
        return factors([name for name, weight in self.decision.formula.items() if weight])

    def paths(self, given: Mapping[str, Path]) -> dict[str, Path]:
        """The runs that are needed: those given by the names of the file, or, where none are given, those it names.

        Raises CharlmError that names what differs.
        """
        wanted = [name for name in self.runs if {name, unigram_of(name)} & self.used]
        if not given:
            return {name: self._found(name) for name in wanted}
        missing, foreign = [n for n in wanted if n not in given], [n for n in given if n not in self.runs]
        if missing or foreign:
            parts = [f"{', '.join(missing)} not given"] * bool(missing)
            parts += [f"{', '.join(foreign)} not in the file"] * bool(foreign)
            raise CharlmError(
                f"{self.origin} was made for other scores: {'; '.join(parts)}",
                hint=f"its runs are {', '.join(self.runs) or 'none'}; a run is called like its folder, or NAME=PATH; "
                "give none and those of the file are taken, or tune again",
            )
        return {name: given[name] for name in wanted}

    def _found(self, name: str) -> Path:
        path = Path(self.runs[name].path)
        beside = self.origin.parent / path
        return beside if not storage.exists(path) and storage.exists(beside) else path

    def refuse_other_runs(self, fingerprints: Mapping[str, str]) -> None:
        """Raise CharlmError for runs that are not those of the tuning."""
        if wrong := [name for name, found in fingerprints.items() if found != self.runs[name].fingerprint]:
            raise CharlmError(
                f"{self.origin} was tuned with another {' and another '.join(wrong)} than the given one",
                hint="its weights do not fit: give the run that it names, or tune again",
            )

    def refuse_other_lists(self, own: Iterable[str]) -> None:
        """Raise CharlmError where no list has a score that counts. own: names of the candidates' scores"""
        found = set(own)
        known = found | {*self.runs, *map(unigram_of, self.runs), *names_from_lists()}
        if missing := sorted(self.used - known):
            more = sorted(found - self.used)
            there = f"; they have {', '.join(more)}, which it does not weigh" if more else ""
            raise CharlmError(
                f"{self.origin} was made for other scores: the lists have no {', '.join(missing)}{there}",
                hint="convert the lists so that their scores have these names, or tune again",
            )

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        storage.write_text(path, self.to_toml())

    def to_toml(self) -> str:
        """The file; `read` gives back what stands in it."""
        decision = self.decision
        lines = [
            "# How charlm orders lists of candidates; docs/reranking.md says what each line means.",
            f"format = {FORMAT}",
            f"charlm = {_toml(charlm.__version__)}",
            f"created = {_toml(datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'))}",
            f"metric = {_toml(self.metric)}",
            f"length = {_toml(OF_LENGTH[self.metric])}",
            f"unknown = {_toml(self.unknown)}",
            f"decision = {_toml(decision.way)}",
            f"margin = {_toml(decision.margin)}",
            f"temperature = {_toml(decision.temperature)}",
            *([] if (risk := decision.risk_temperature) is None else [f"risk_temperature = {_toml(risk)}"]),
            f"abstains = {_toml(decision.abstains)}",
            f"formula = {_toml(str(decision.formula))}",
            "",
            "[weights]",
            *(f"{_key(name)} = {_toml(weight)}" for name, weight in decision.formula.items()),
        ]
        for name, run in self.runs.items():
            path, found = _toml(run.path), _toml(run.fingerprint)
            lines += ["", f"[runs.{_key(name)}]", f"path = {path}", f"fingerprint = {found}"]
        if self.tuned:
            lines += ["", "[tuned]", *(f"{_key(name)} = {_toml(value)}" for name, value in self.tuned.items())]
        return "\n".join(lines) + "\n"

    @classmethod
    def read(cls, path: Path) -> "WeightsFile":
        """Read a file; raises CharlmError that says what is wrong with it."""
        text = storage.read_text(path, error=problem)
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise problem(f"{path} is not TOML: {error}") from error
        if not isinstance(content.get("format"), int):
            raise problem(f"{path} is no file of weights: it names no format")
        if content["format"] > FORMAT:
            raise CharlmError(
                f"{path} has format {content['format']}; this charlm knows format {FORMAT}",
                hint="pip install --upgrade charlm",
            )
        if wrong := jsonfiles.misfit(SHAPE, content):
            raise problem(f"{path}: {wrong}")
        for name, weight in content["weights"].items():
            if not math.isfinite(weight):
                raise problem(f"{path}: the weight of {name} is {weight}, no finite number")
        try:
            metric, unknown, way = content["metric"], content["unknown"], content["decision"]
            METRICS[metric], WAYS[way]
            if unknown not in ("charged", "counted"):
                raise problem(f"{path}: unknown is charged or counted, not {unknown!r}")
            formula = Formula.exactly({name: float(weight) for name, weight in content["weights"].items()})
            decision = Decision(
                formula,
                float(content["margin"]),
                cast(Choosing, way),
                float(content["temperature"]),
                content["abstains"],
                content.get("risk_temperature"),
            )
        except ConfigError as error:
            raise problem(f"{path}: {error}") from error
        runs = {name: KnownRun(**run) for name, run in content.get("runs", {}).items()}
        return cls(decision, cast(Metric, metric), unknown, runs, content.get("tuned", {}), path)

    def overlap(self, seen: ListsSeen) -> str | None:
        """A sentence where lists that passed by are those of the tuning; None where they are others."""
        if seen.digest == self.tuned.get("lists_digest"):
            return f"these lists are the ones that {self.origin} was tuned on: their figures flatter"
        if seen.met:
            share = len(seen.met) / max(1, len(self.tuned.get("sample", [])))
            return f"about {share:.0%} of what {self.origin} was tuned on is among these lists: their figures flatter"
        return None

    def watch(self) -> ListsSeen:
        """What notices the lists of the tuning."""
        return ListsSeen(frozenset(str(one) for one in self.tuned.get("sample", [])))


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else _toml(name)


def _toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(name))} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)
