r"""ARPA, the text format of n-gram models: lines ⇄ n-grams.

    \data\
    ngram 1=3
    ngram 2=2

    \1-grams:
    -99<tab><s><tab>-0.30103
    -0.30103<tab></s>
    -0.30103<tab>春<tab>-0.1760913

    \2-grams:
    -0.1249387<tab><s> 春
    -0.30103<tab>春 </s>

    \end\

A line gives a probability, the words and a backoff weight. The only place with base-10 logarithms: they
are nats as soon as they are read. No formal definition of the format exists; reading is strict unless told
otherwise, and what it takes for an error stands in `flaws.py`, each with its cause and its cure.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

Floats = npt.NDArray[np.float64]

LN10 = math.log(10)

# The first line of a file whose lines are read backwards: KenLM lets a line that begins with # stand before the header,
# and nothing else in the format could say so.
REVERSED = "# every line is read backwards: its last word follows <s>, its first comes before </s>"

NEVER = -99.0  # log10 that the format's tools write for a probability of 0

LARGEST = 1e38  # a log10 beyond this is infinite: as nats it would not fit into 32 bits

ROUNDING = 1e-6  # log10 by which a sum of probabilities may end above 1


@dataclass(frozen=True)
class ArpaOrder:
    """The n-grams of one order, each once.

    grams      (entries, n)  int64, indices into the words
    log_probs  (entries,)    float64, nats
    backoffs   (entries,)    float64, nats; 0 where the file gives none
    """

    grams: Ints
    log_probs: Floats
    backoffs: Floats


@dataclass(frozen=True)
class Arpa:
    r"""What an ARPA file says.

    words    in the order of the \1-grams: section
    orders   the unigrams first
    reverse  whether it says that its lines are read backwards: see REVERSED
    """

    words: list[str]
    orders: list[ArpaOrder]
    reverse: bool = False
