"""STEPS: ARPA, the text format of n-gram models.

layout   what a file says, and the numbers of the format
flaws    what can be wrong with a file: cause, cure, repair
lines    lines with numbers, looked at before they are taken
section  the n-grams of one order while they are read
reading  lines to n-grams
writing  n-grams to lines
words    n-grams and tables over a vocabulary
"""
