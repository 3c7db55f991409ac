"""Names that other programs give to scores and references, so that what was not read can be told."""

import re

# Scores of a candidate that stand beside its text instead of in `scores`.
_SCORE_NAME = re.compile(r"(?i)(.*_)?(am|asr|lm|ac|acoustic|score|cost|log_?prob|log_?likelihood|confidence)(_.*)?$")

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
