"""CHOICE: formats of n-best lists, the candidate transcripts that a speech recogniser proposes.

    base.py    Hypothesis, Utterance, Source, Target, and what a format promises
    jsonl.py   JSON lines: ids, references, named scores, and any other field
    plain.py   one candidate a line, a blank line between lists
    foreign.py lists of other programs, recognised only to be refused by name

Laws, tested over the table: what was rendered parses to the same utterances, a malformed line is named by
its file and number, and one utterance is in memory at a time.
"""

from charlm.choices import Choices
from charlm.nbest.base import Hypothesis, NBestFormat, Source, Target, Utterance
from charlm.nbest.jsonl import JsonLines
from charlm.nbest.plain import Plain

__all__ = ["NBEST_FORMATS", "Hypothesis", "NBestFormat", "Source", "Target", "Utterance"]

NBEST_FORMATS: Choices[NBestFormat] = Choices("format", {"jsonl": JsonLines(), "plain": Plain()})
