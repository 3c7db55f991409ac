"""STEPS: count-based models, in the order of the data flow.

columns     numbers on the disk, read in slices
counts      a trie of counts
counting    a text to n-gram counts, in bounded memory
sifting     entries taken out of a trie
adding      counts of shards into counts of the whole
tables      the finished trie; `search`: where tokens stand in it
countfiles  folders of counts
smoothing   SMOOTHERS: what is kept of what was seen, and what is left for the rest
estimation  counts to probabilities
pruning     n-grams left out
coding      values in fewer bits
learning    all of this in one: counts to tables
arpa        the text format of n-gram models
"""
