"""Which format are these lists in? Told by what stands in them, and by what lies in their folder.

Where two formats are possible nobody guesses: the message shows how each would read the first list.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from charlm.errors import CharlmError, TextError
from charlm.nbest import NBEST_FORMATS
from charlm.nbest.base import Source, Utterance
from charlm.nbest.kaldi import numbered_names

PEEKED = 200  # lines that are looked at


def formats_of(lines: Iterable[str]) -> list[str]:
    """The names of all formats that a file which begins with these lines can be in.

    >>> formats_of(["0 ||| 今天 ||| ||| -1"]), formats_of(["今天天气很好"])
    (['moses'], [])
    """
    head = [line.removeprefix("\ufeff").rstrip("\r\n") for line in lines]
    head = [line for line in head if line.strip()]
    return [name for name, format in NBEST_FORMATS.items() if head and format.recognises(head)]


def formats_of_folder(names: Collection[str], head_of: Callable[[str], Sequence[str]]) -> list[str]:
    """The names of all formats that a folder of these files can be in; `head_of` gives the first lines of a file."""
    found = [name for name, format in NBEST_FORMATS.items() if format.files and set(format.files) <= set(names)]
    if found or not names:
        return found
    possible = formats_of(head_of(min(names)))
    return [name for name in possible if NBEST_FORMATS[name].folders]


def guess(head: Sequence[str], source: str) -> str:
    """The one format that lists which begin so are in, or `text` where they are none.

    Raises TextError where several are possible, and for what looks like lists that nobody here reads.
    """
    found = formats_of(head)
    if len(found) > 1:
        raise ambiguous(source, found, head)
    if found:
        return found[0]
    filled = [line for line in head if line.strip()]
    if len(filled) > 1 and (names := numbered_names(filled)):
        raise TextError(
            f"{source} has the keys {names[0]}-n: one list as Kaldi names candidates, or an utterance a line",
            hint="say which: --format kaldi for a list, --format text for lines",
        )
    inner = "".join(line if line.endswith("\n") else line + "\n" for line in head).lstrip("\ufeff").strip()
    if inner.startswith("{"):
        return "jsonl"
    if re.match(r"\[\s*[\[{\"]", inner):
        raise TextError(
            f"{source} is a JSON array of no known kind of lists",
            hint="known are arrays of objects with input and output, or with hyps as texts; for JSON lines, one object "
            'a line: {"id": "u1", "hyps": [{"text": "做作业", "scores": {"am": -12.4}}]}',
        )
    return "plain" if re.search(r"\n\s*\n", inner) else "text"


def ambiguous(source: str, found: Sequence[str], head: Sequence[str]) -> TextError:
    """The error of lists that can be read in several ways, with what each would find first."""
    shown = "; ".join(f"as {name}: {_first(name, head)}" for name in found)
    return TextError(
        f"{source} can be read as {' or as '.join(found)}",
        hint=f"say which: {' or '.join(f'--format {name}' for name in found)}. {shown}",
    )


def _first(name: str, head: Sequence[str]) -> str:
    try:
        found = next(iter(NBEST_FORMATS[name].parse(Source.of(head, "", refuse=lambda _: None))), None)
    except CharlmError:
        found = None
    return "nothing in the first lines" if found is None else described(found)


def described(utterance: Utterance) -> str:
    """A list in a few words: its id and its first candidates with their scores."""
    texts = []
    for candidate in utterance.hypotheses[:2]:
        scores = ", ".join(f"{key} {value:g}" for key, value in list(candidate.scores.items())[:3])
        texts.append(repr(candidate.text[:20]) + (f" ({scores})" if scores else ""))
    more = len(utterance.hypotheses) - len(texts)
    return f"{utterance.id} has {', '.join(texts) or 'no candidates'}" + (f" and {more} more" if more > 0 else "")
