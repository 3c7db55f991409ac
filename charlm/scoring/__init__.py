"""STEPS: how well a model predicts a text, from log-probabilities of tokens to sums that add.

Pure: no files, no printing, no choice of device. Natural logarithms throughout.

    score       the running total
    reading     documents to log-probabilities, side by side, carried or in order
    prefixes    the same of documents that begin alike, read as a trie
    evaluating  texts to totals
"""

from charlm.scoring.evaluating import Pieces, details, evaluate, evaluate_corpus
from charlm.scoring.prefixes import distinct, log_probs_of_lists, log_probs_of_prefixes
from charlm.scoring.reading import (
    BATCH_TOKENS,
    BATCHES_PER_CHUNK,
    FEWEST_ROWS,
    WINDOW,
    OnTokens,
    log_probs_in_order,
    log_probs_of_lines,
    log_probs_of_stream,
)
from charlm.scoring.score import NATS_GRID, UNKNOWN_UNIT_NATS, LogProbArray, Score, perplexity_of, score_of

__all__ = [
    "BATCHES_PER_CHUNK",
    "BATCH_TOKENS",
    "FEWEST_ROWS",
    "NATS_GRID",
    "UNKNOWN_UNIT_NATS",
    "WINDOW",
    "LogProbArray",
    "OnTokens",
    "Pieces",
    "Score",
    "details",
    "distinct",
    "evaluate",
    "evaluate_corpus",
    "log_probs_in_order",
    "log_probs_of_lines",
    "log_probs_of_lists",
    "log_probs_of_prefixes",
    "log_probs_of_stream",
    "perplexity_of",
    "score_of",
]
