"""CHOICE: formats of n-best lists, the candidate transcripts that a speech recogniser proposes.

    base.py         Hypothesis, Utterance, Source, Target, and what a format promises
    rows.py         lists of one candidate a line, and what may stand in a line
    elements.py     JSON files, piece by piece
    jsonl.py        JSON lines: ids, references, any number of named scores, and any other field
    tsv.py, separated.py, plain.py                       tables, lists a line, blank lines between lists
    kaldi.py, espnet.py, nemo.py, srilm.py, decipher.py  what recognisers write
    hyporadise.py, hypr.py, mlm.py, moses.py, trn.py     what corpora and other rerankers have
    references.py   what was really said, from a file of its own
    recognising.py  which format a file or folder is in
    foreign.py      names that other programs give to scores and references

Laws, tested over the table: what was rendered parses to the same utterances, a malformed line is named by its file
and number and costs its own list alone, and one utterance is in memory at a time. Inside, scores are natural
logarithms, larger is better; every format says in its first lines what its numbers are.
"""

from charlm.choices import Choices
from charlm.nbest.base import Hypothesis, NBestFormat, Source, Target, Utterance
from charlm.nbest.decipher import Decipher
from charlm.nbest.espnet import ESPnet
from charlm.nbest.hyporadise import HyPoradise
from charlm.nbest.hypr import HypR
from charlm.nbest.jsonl import JsonLines
from charlm.nbest.kaldi import Kaldi
from charlm.nbest.mlm import MLMScoring
from charlm.nbest.moses import Moses
from charlm.nbest.nemo import NeMo
from charlm.nbest.plain import Plain
from charlm.nbest.separated import Separated
from charlm.nbest.srilm import SRILM
from charlm.nbest.trn import Trn
from charlm.nbest.tsv import TabSeparated

__all__ = ["NBEST_FORMATS", "Hypothesis", "NBestFormat", "Source", "Target", "Utterance"]

NBEST_FORMATS: Choices[NBestFormat] = Choices(
    "format",
    {
        "jsonl": JsonLines(),
        "plain": Plain(),
        "tsv": TabSeparated(),
        "pipes": Separated("pipes", "|"),
        "tabs": Separated("tabs", "\t"),
        "kaldi": Kaldi(),
        "espnet": ESPnet(),
        "nemo": NeMo(),
        "srilm": SRILM(),
        "decipher": Decipher(),
        "hyporadise": HyPoradise(),
        "hypr": HypR(),
        "mlm": MLMScoring(),
        "moses": Moses(),
        "trn": Trn(),
    },
)
