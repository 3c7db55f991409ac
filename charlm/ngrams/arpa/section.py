"""The n-grams of one order of an ARPA file while it is read, and which contexts they may have."""

from array import array

import numpy as np

from charlm.ngrams.arpa.layout import LN10, ArpaOrder, Floats, Ints


class Section:
    """The n-grams of one order while they are read, in log10.

    The arrays grow with the lines and never from what a header promises: a header may lie.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.seen = 0  # lines, those left out included
        self.grams = array("q")
        self.log_probs = array("d")
        self.backoffs = array("d")
        self.line_numbers = array("q")

    def add(self, grams: Ints, log_probs: Floats, backoffs: Floats, first_line: int) -> None:
        """Take a block of lines that follow each other."""
        self.seen += len(log_probs)
        self.grams.frombytes(grams.tobytes())
        self.log_probs.frombytes(log_probs.tobytes())
        self.backoffs.frombytes(backoffs.tobytes())
        self.line_numbers.frombytes(np.arange(first_line, first_line + len(log_probs)).tobytes())

    def order(self) -> ArpaOrder:
        """The n-grams so far, in nats."""
        grams = np.asarray(self.grams, dtype=np.int64).reshape(-1, self.n)
        return ArpaOrder(grams, np.asarray(self.log_probs) * LN10, np.asarray(self.backoffs) * LN10)


class Contexts:
    """The n-grams of the orders 2, 3, … that were read, by number: place of the context, times words, plus word.

    size  words of the model
    """

    def __init__(self) -> None:
        self.size = 0
        self._orders: list[Ints] = []  # sorted numbers

    def add(self, numbers: Ints) -> None:
        """Take the sorted numbers of the next order."""
        self._orders.append(numbers)

    def numbers(self, grams: Ints) -> Ints:
        """A number for every n-gram of the next order, -1 where its context is not known.

        grams    (entries, n)  indices of words
        returns  (entries,)
        """
        places = grams[:, 0]
        for known, words in zip(self._orders, grams.T[1:-1], strict=False):
            wanted = places * self.size + words
            places = np.searchsorted(known, wanted)
            is_there = np.append(known, -1)[places] == wanted
            places = np.where(is_there, places, -1 - self.size)  # below 0 whatever word follows
        return np.where(places < 0, -1, places * self.size + grams[:, -1])
