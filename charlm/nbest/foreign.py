"""What lists of other programs look like, so that they are refused by name instead of being read as words."""

import re
from collections.abc import Sequence

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_LINES = {
    "a Moses n-best list (fields between |||)": re.compile(r".*\s\|\|\|\s"),
    "a NeMo n-best list (text, tab, score)": re.compile(rf"[^\t]*\t\s*{_NUMBER}\s*$"),
    "an SRILM n-best list (scores and a number of words before the text)": re.compile(
        rf"{_NUMBER}\s+{_NUMBER}\s+\d+\s"
    ),
    "an SRILM n-best list (NBestList, scores in parentheses before the text)": re.compile(
        rf"NBestList\d|\({_NUMBER}\)\s"
    ),
    "a transcript of sclite (text, the utterance's name in parentheses)": re.compile(r".*\s\(\S*\d\S*\)\s*$"),
}
_KALDI = re.compile(r"(\S+)-(\d+)(?:\s|$)")
_ARRAY = re.compile(r"\[\s*[\[{\"]")
# Names that other programs give to the scores of a candidate, beside its text instead of in `scores`.
_SCORE_NAME = re.compile(r"(?i)(.*_)?(am|asr|lm|ac|acoustic|score|cost|log_?prob|log_?likelihood|confidence)(_.*)?$")


def likely_format(lines: Sequence[str]) -> str | None:
    """The format of another program that all these lines fit; None where they may be plain text.

    >>> likely_format(["今天\\t-12.5"]), likely_format(["今天"])
    ('a NeMo n-best list (text, tab, score)', None)
    """
    filled = [line.rstrip("\r\n") for line in lines if line.strip()]
    if not filled:
        return None
    if _ARRAY.match("".join(filled).lstrip("\ufeff").lstrip()):
        return "a JSON array"
    for name, pattern in _LINES.items():
        if all(pattern.match(line) for line in filled):
            return name
    keys = [_KALDI.match(line) for line in filled]
    numbers = [match[2] if match else "" for match in keys]
    if len(keys) > 1 and all(keys) and numbers[:2] in (["1", "2"], ["1", "1"], ["0", "1"], ["0", "0"]):
        return "a Kaldi n-best list (utterance-number before the text)"
    return None


# What other programs call the text that was really said.
REFERENCE_NAMES = frozenset(
    {"refs", "reference", "references", "transcript", "target", "ground_truth", "truth", "label"}
)


def is_score_name(name: str) -> bool:
    """Whether other programs call a score so.

    >>> is_score_name("asr_score"), is_score_name("tokens")
    (True, False)
    """
    return _SCORE_NAME.match(name) is not None
