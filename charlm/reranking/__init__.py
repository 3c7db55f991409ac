"""Choosing the best candidate of an n-best list, and saying how much that helped. No torch, no files.

weighing.py    named scores and weights -> candidates in a new order
reporting.py   old and new order, and references -> a report that adds
"""
