"""STEPS: choosing the best candidate of an n-best list, and saying how much that helped.

    error_rates.py how far a text is from what was said
    weighing.py    named scores and weights -> candidates in a new order
    findings.py    what is odd in the lists
    judging.py     old order, new order and reference -> a Verdict that adds

No torch and no files: whoever calls brings the language model's log-probabilities.
"""
