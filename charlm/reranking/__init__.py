"""STEPS: choosing the best candidate of an n-best list, and saying how much that helped.

    error_rates.py how far a text is from what was said
    weighing.py    named scores and weights -> candidates in a new order
    listing.py     scores that are computed from a list alone
    deciding.py    the best sum or the least expected error, a margin for the first, posteriors
    findings.py    what is odd in the lists
    judging.py     old order, new order and reference -> a Verdict that adds
    problem.py     many lists as columns of scores and errors
    lines.py       the least errors along a line of weights, exactly
    searching.py   the weights with the fewest errors
    likelihood.py  the weights by which the best candidates are likeliest
    tempering.py   the temperature of posteriors
    validating.py  folds, and intervals by bootstrap
    tuning.py      weights, margin and temperature, and whether they can be trusted
    comparing.py   two texts side by side, unit by unit and token by token
    reporting.py   what reranking did, in figures

No torch and no files: whoever calls brings the language model's log-probabilities.
"""
