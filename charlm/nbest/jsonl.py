"""N-best lists as JSON lines, one utterance a line.

    {"id": "u1", "ref": "做作业", "hyps": [{"text": "做做业", "scores": {"am": -12.4}}, {"text": "做作业"}]}

`id` (else the line number), `ref` and `scores` may be missing; null means missing. `"am_score": x` in a
candidate is read as `"scores": {"am": x}`, and written so. Scores are larger for better candidates; one may
be -Infinity, as Python writes it for what is impossible, and is written as null, as JSON has no such number.
Other fields, of an utterance or of a candidate, are passed through. `hyps` may be empty. Blank lines are skipped.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from charlm.errors import NBestError
from charlm.nbest.base import Hypothesis, Source, Target, Utterance, numbered

Misfit = Callable[[str], NBestError]  # makes the error of a line, from what was expected there

EXAMPLE = '{"id": "u1", "hyps": [{"text": "做作业"}]}'
UTTERANCE_FIELDS = {"id", "ref", "hyps"}
HYPOTHESIS_FIELDS = {"text", "scores", "am_score"}

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Lone surrogates cannot be written as UTF-8, and some programs take the others for the end of a line.
_TO_ESCAPE = re.compile("[\ud800-\udfff\x85\u2028\u2029]")


class JsonLines:
    """JSON lines; they hold everything that an Utterance has."""

    files: tuple[str, ...] = ()

    def parse(self, source: Source) -> Iterator[Utterance]:
        for number, line in numbered(source.lines()):
            if line.strip():
                yield _utterance(line, number, source.place())

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        """JSON has finite numbers only: minus infinity is written as null; other such raise ValueError."""
        for utterance in utterances:
            line = json.dumps(_without_infinity(_record(utterance)), ensure_ascii=False, allow_nan=False)
            target.write(_TO_ESCAPE.sub(lambda match: f"\\u{ord(match[0]):04x}", line))


class _NotFinite(ValueError):
    """A number of the source that is infinite or not a number."""


def _utterance(line: str, number: int, source: str) -> Utterance:
    def misfit(expected: str) -> NBestError:
        return NBestError(source, number, line, expected=expected)

    try:
        record = json.loads(line, parse_float=_finite, parse_constant=_constant)
    except _NotFinite as error:
        raise misfit(f"finite numbers, and null where there is none, not {error}") from error
    except (ValueError, RecursionError) as error:
        raise misfit(f"one JSON object a line, like {EXAMPLE} ({error})") from error
    if not isinstance(record, dict):
        raise misfit(f"an object like {EXAMPLE}, not {_kind(record)}")
    candidates = record.get("hyps")
    if not isinstance(candidates, list):
        raise misfit(f"an array of candidates as hyps, not {_kind(candidates)}")
    name, reference = record.get("id"), record.get("ref")
    return Utterance(
        id=str(number) if name is None else name if _is_number(name) else _string(name, "id", misfit),
        hypotheses=tuple(_hypothesis(c, f"hyps[{i}]", misfit) for i, c in enumerate(candidates)),
        reference=None if reference is None else _string(reference, "ref", misfit),
        extra=_without(record, UTTERANCE_FIELDS),
    )


def _hypothesis(record: Any, place: str, misfit: Misfit) -> Hypothesis:
    if not isinstance(record, dict):
        raise misfit(f'an object like {{"text": "做作业"}} as {place}, not {_kind(record)}')
    scores = record.get("scores")
    if scores is None:
        scores = {}
    if not isinstance(scores, dict):
        raise misfit(f'an object like {{"am": -12.4}} as {place}.scores, not {_kind(scores)}')
    values = {
        name: _score(value, f"{place}.scores.{name}", misfit) for name, value in scores.items() if value is not None
    }
    if (alias := record.get("am_score")) is not None:
        am = _score(alias, f"{place}.am_score", misfit)
        if values.setdefault("am", am) != am:
            raise misfit(f"one acoustic score in {place}, not am_score {am} and scores.am {values['am']}")
    text = _string(record.get("text"), f"{place}.text", misfit)
    return Hypothesis(text, values, _without(record, HYPOTHESIS_FIELDS))


def _string(value: Any, place: str, misfit: Misfit) -> str:
    if not isinstance(value, str):
        raise misfit(f"a string as {place}, not {_kind(value)}")
    if _LONE_SURROGATE.search(value):
        raise misfit(f"text as {place}, not half of a surrogate pair")
    return value


def _score(value: Any, place: str, misfit: Misfit) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise misfit(f"a number or null as {place}, not {_kind(value)}")
    try:
        return float(value)
    except OverflowError as error:
        raise misfit(f"a finite number as {place}") from error


def _is_number(value: Any) -> bool:
    """Whether a name is a number, as tables that have lost a row write it: 7 or 7.0."""
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _NotFinite(digits[:20])
    return number


def _constant(name: str) -> float:
    return -math.inf if name == "-Infinity" else _finite(name)


def _without_infinity(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_infinity(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinity(inner) for inner in value]
    return None if isinstance(value, float) and value == -math.inf else value


def _kind(value: Any) -> str:
    if value is None:
        return "null or nothing"
    kinds = {bool: "true or false", str: "a string", list: "an array", dict: "an object"}
    return kinds.get(type(value), "a number")


def _without(record: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in known}


def _record(utterance: Utterance) -> dict[str, Any]:
    candidates = []
    for hypothesis in utterance.hypotheses:
        scores = {"scores": dict(hypothesis.scores)} if hypothesis.scores else {}
        candidates.append({"text": hypothesis.text} | scores | _without(hypothesis.extra, HYPOTHESIS_FIELDS))
    reference = {} if utterance.reference is None else {"ref": utterance.reference}
    return {"id": utterance.id} | reference | {"hyps": candidates} | _without(utterance.extra, UTTERANCE_FIELDS)
