"""Count-based models, in the order of the data flow.

columns     numbers on the disk, read in slices
counting    a text to n-gram counts, in bounded memory
counts      a trie of counts; `adding` and `countfiles`: shards, and folders of counts
smoothing   SMOOTHERS: what is kept of what was seen, and what is left for the rest
estimation  counts to probabilities
pruning     n-grams left out; `sifting`: out of a trie
coding      values in fewer bits
tables      the finished trie; `search`: where tokens stand in it
arpa        ARPA lines and n-grams; `exchange`: n-grams and tables
"""
