"""STEPS: ARPA, the text format of n-gram models.

layout   what a file says, and the numbers of the format
flaws    what can be wrong with a file: cause, cure, repair
reading  lines to n-grams
writing  n-grams to lines
words    n-grams and tables over a vocabulary
"""
