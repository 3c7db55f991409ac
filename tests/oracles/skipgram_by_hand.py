"""Skip-gram in plain Python, one pair of words after the other, as the word2vec program does it."""

import numpy as np

MASK = (1 << 64) - 1


class SplitMix:
    """splitmix64 (Steele et al. 2014) in Python's whole numbers."""

    def __init__(self, seed):
        self.state = seed & MASK

    def bits(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def uniform(self):
        return (self.bits() >> 11) / 2**53

    def below(self, number):
        return ((self.bits() >> 32) * number) >> 32


def learn(ids, kept, targets_of, source, target, reach, rate, seed):
    """Learn a piece of text, in float64.

    targets_of  (center word, random numbers) -> rows of `target` with the label that each shall have
    """
    source, target, random = source.astype(float), target.astype(float), SplitMix(seed)
    place = 0
    while place < len(ids):  # a document is read whole before anything in it is drawn
        read = []
        while place < len(ids) and ids[place] != 0:
            share = kept[ids[place]]
            if share > 0 and (share >= 1 or random.uniform() < share):
                read.append(int(ids[place]))
            place += 1
        place += 1
        for center, word in enumerate(read):
            near = reach - random.below(reach)
            for context in range(max(0, center - near), min(len(read), center + near + 1)):
                if context == center:
                    continue
                x, change = source[read[context]], np.zeros(source.shape[1])
                for row, label in targets_of(word, random):
                    step = rate * (label - 1 / (1 + np.exp(-x @ target[row])))
                    change += step * target[row]
                    target[row] += step * x
                source[read[context]] += change
    return source, target
