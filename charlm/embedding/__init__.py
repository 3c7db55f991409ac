"""STEPS: from a text to vectors of its words, and what can be asked of them.

vectors      words and their vectors, whoever made them
formats      the two files of word2vec, in and out
frequencies  what the counts of words decide: who is passed over, who is drawn, and the Huffman tree
counted      vectors from counts of neighbours, for a network to begin with
compiled     skip-gram, one pair of words after the other, in machine code
batched      skip-gram, blocks of text as matrix products
skipgram     a text read as often as the budget says, by several threads
neighbours   the nearest words, and analogies
plane        words as points of a picture
"""
