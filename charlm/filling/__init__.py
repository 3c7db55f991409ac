"""STEPS: texts with blanks, and what may stand in them.

blanks       a text in which tokens are missing: `_`, `__`, □
likelihood   how well each token of a text is foretold by all the others: the pseudo-log-likelihood
searching    the best candidates, found from the left, whatever judges them
both         a cloze model judges: from both sides
whole        a language model judges: whole sentences
measuring    how often the very token is found that was taken out
"""
