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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from charlm import jsonfiles
from charlm.errors import NBestError
from charlm.nbest.base import Hypothesis, Misfit, Source, Target, Utterance, numbered
from charlm.nbest.rows import MOST_CANDIDATES

EXAMPLE = '{"id": "u1", "hyps": [{"text": "做作业"}]}'
UTTERANCE_FIELDS = {"id", "ref", "hyps"}
HYPOTHESIS_FIELDS = {"text", "scores", "am_score"}

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Lone surrogates cannot be written as UTF-8, and some programs take the others for the end of a line.
_TO_ESCAPE = re.compile("[\ud800-\udfff\x85\u2028\u2029]")

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


class JsonLines:
    """JSON lines; they hold everything that an Utterance has."""

    files: tuple[str, ...] = ()
    folders = False
    scores = ".*"
    references = True
    ids = True
    about = "JSON lines with id, ref, and hyps of text and named scores (nats)"

    def recognises(self, head: Sequence[str]) -> bool:
        """An object with `hyps` that are objects, or none, in the first line."""
        try:
            record = jsonfiles.parse(head[0])
        except ValueError:
            return False
        candidates = record.get("hyps") if isinstance(record, dict) else None
        return isinstance(candidates, list) and not any(isinstance(one, str) for one in candidates)

    def parse(self, source: Source) -> Iterator[Utterance]:
        for number, line in numbered(source.lines()):
            if line.strip():
                try:
                    yield _utterance(line, number, source)
                except NBestError as error:
                    source.refuse(error)

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        """JSON has finite numbers only: minus infinity is written as null; other such raise ValueError."""
        for utterance in utterances:
            target.write(line_of(_record(utterance)))


def line_of(record: Mapping[str, Any]) -> str:
    """A record as one line of JSON."""
    try:
        line = _ENCODER.encode(record)
    except ValueError:  # a number that JSON has not; it is seldom, so it is looked for only now
        line = _ENCODER.encode(_without_infinity(record))
    return _TO_ESCAPE.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def value_of(text: str, misfit: Misfit, expected: str) -> Any:
    """The value of a JSON text whose numbers are finite, or minus infinity; raises the misfit otherwise."""
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_constant)
    except _NotFinite as error:
        raise misfit(f"finite numbers, and null where there is none, not {error}") from error
    except (ValueError, RecursionError) as error:
        raise misfit(f"{expected} ({error})") from error


class _NotFinite(ValueError):
    """A number of the source that is infinite or not a number."""


def _utterance(line: str, number: int, source: Source) -> Utterance:
    misfit = source.misfit(number, line)
    record = value_of(line, misfit, f"one JSON object a line, like {EXAMPLE}")
    if not isinstance(record, dict):
        raise misfit(f"an object like {EXAMPLE}, not {kind(record)}")
    candidates = record.get("hyps")
    if not isinstance(candidates, list):
        raise misfit(f"an array of candidates as hyps, not {kind(candidates)}")
    if len(candidates) > MOST_CANDIDATES:
        raise misfit(f"at most {MOST_CANDIDATES:,} candidates in one list, not {len(candidates):,}")
    return Utterance(
        id=id_of(record, "id", str(number), misfit),
        hypotheses=tuple(_hypothesis(c, f"hyps[{i}]", misfit) for i, c in enumerate(candidates)),
        reference=reference_of(record, "ref", misfit),
        extra=without(record, UTTERANCE_FIELDS),
        place=f"{source.place()}:{number}",
    )


def id_of(record: Mapping[str, Any], field: str, otherwise: str, misfit: Misfit) -> str | int | float:
    """The id in a record, a string or a number; `otherwise` where it is missing or null."""
    name = record.get(field)
    return otherwise if name is None else name if _is_number(name) else string_of(name, field, misfit)


def reference_of(record: Mapping[str, Any], field: str, misfit: Misfit) -> str | None:
    """The reference in a record, or None."""
    reference = record.get(field)
    return None if reference is None else string_of(reference, field, misfit)


def _hypothesis(record: Any, place: str, misfit: Misfit) -> Hypothesis:
    if not isinstance(record, dict):
        raise misfit(f'an object like {{"text": "做作业"}} as {place}, not {kind(record)}')
    scores = record.get("scores")
    if scores is None:
        scores = {}
    if not isinstance(scores, dict):
        raise misfit(f'an object like {{"am": -12.4}} as {place}.scores, not {kind(scores)}')
    values = {
        name: number_of(value, f"{place}.scores.{name}", misfit) for name, value in scores.items() if value is not None
    }
    if (alias := record.get("am_score")) is not None:
        am = number_of(alias, f"{place}.am_score", misfit)
        if values.setdefault("am", am) != am:
            raise misfit(f"one acoustic score in {place}, not am_score {am} and scores.am {values['am']}")
    text = string_of(record.get("text"), f"{place}.text", misfit)
    return Hypothesis(text, values, without(record, HYPOTHESIS_FIELDS))


def string_of(value: Any, place: str, misfit: Misfit) -> str:
    """The value, if it is text that UTF-8 can hold; raises the misfit otherwise."""
    if not isinstance(value, str):
        raise misfit(f"a string as {place}, not {kind(value)}")
    if _LONE_SURROGATE.search(value):
        raise misfit(f"text as {place}, not half of a surrogate pair")
    return value


def number_of(value: Any, place: str, misfit: Misfit) -> float:
    """The value, if it is a number; raises the misfit otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise misfit(f"a number or null as {place}, not {kind(value)}")
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


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null or nothing"
    kinds = {bool: "true or false", str: "a string", list: "an array", dict: "an object"}
    return kinds.get(type(value), "a number")


def without(record: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    """The fields of a record that are not known."""
    return {name: value for name, value in record.items() if name not in known}


def _record(utterance: Utterance) -> dict[str, Any]:
    candidates = []
    for hypothesis in utterance.hypotheses:
        scores = {"scores": dict(hypothesis.scores)} if hypothesis.scores else {}
        candidates.append({"text": hypothesis.text} | scores | without(hypothesis.extra, HYPOTHESIS_FIELDS))
    reference = {} if utterance.reference is None else {"ref": utterance.reference}
    return {"id": utterance.id} | reference | {"hyps": candidates} | without(utterance.extra, UTTERANCE_FIELDS)
