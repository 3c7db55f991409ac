"""What was really said, from a file of its own: Kaldi's `text`, sclite's `.trn`, or NeMo's manifest.

    u1 做作业                                          Kaldi's text: the id, white space, the text
    做作业 (u1)                                        sclite's trn: the text, the id in parentheses
    {"audio_filepath": "u1.wav", "text": "做作业"}     a manifest: one object a line, called by its number, from 1

Held in memory as a whole, since lists may come in any order.
"""

from collections.abc import Mapping
from typing import Any

from charlm.errors import NBestError
from charlm.nbest.base import Misfit, Source, numbered
from charlm.nbest.jsonl import string_of, value_of
from charlm.nbest.trn import Trn, split, without_alternations

PEEKED = 50  # lines that tell how references are written


def references_of(source: Source) -> dict[str, str]:
    """Id -> reference; an id that comes twice goes to `source.refuse`, as does every line that does not fit."""
    lines = [(number, line) for number, line in numbered(source.lines()) if line.strip()]
    head = [line for _, line in lines[:PEEKED]]
    if head and Trn().recognises(head):
        read = _trn
    else:
        read = _manifest if head and all(line.lstrip().startswith("{") for line in head) else _text
    found: dict[str, str] = {}
    where: dict[str, int] = {}
    for count, (number, line) in enumerate(lines, 1):
        misfit = source.misfit(number, line)
        try:
            name, text = read(line, misfit, count)
            if name in found:
                raise misfit(f"each id once; {name} has a reference in line {where[name]} already")
        except NBestError as error:
            source.refuse(error)
            continue
        found[name], where[name] = text, number
    return found


def _text(line: str, misfit: Misfit, count: int) -> tuple[str, str]:  # noqa: ARG001 (one of three)
    name, *rest = line.split(None, 1)
    return name, rest[0].strip() if rest else ""


def _trn(line: str, misfit: Misfit, count: int) -> tuple[str, str]:  # noqa: ARG001 (one of three)
    parts = split(line)
    if parts is None:
        raise misfit("a reference and its id in parentheses: 做作业 (u1)")
    return parts[0], without_alternations(parts[1])


def _manifest(line: str, misfit: Misfit, count: int) -> tuple[str, str]:
    record: Any = value_of(line, misfit, "one JSON object a line, with the field text")
    if not isinstance(record, Mapping):
        raise misfit("one JSON object a line, with the field text")
    return str(count), string_of(record.get("text"), "text", misfit)
