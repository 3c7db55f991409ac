"""Choosing the best candidate of an n-best list, and saying how much that helped.

    weighing.py    named scores and weights -> candidates in a new order
    reporting.py   old order, new order and reference -> a report that adds

No torch and no files: whoever calls brings the language model's log-probabilities.
"""
