"""Bidirectional recurrent networks, for missing words."""

from dataclasses import replace

from charlm.families.network import family_of
from charlm.families.recurrent import shape_of_stack
from charlm.filling.likelihood import evaluate_blanks
from charlm.models.bidirectional import Bidirectional
from charlm.training.texts import Texts


def blanks(texts: Texts) -> Texts:
    """The same texts, of which every token but the line ends is a blank, and a measure for them."""
    more = tuple((replace(corpus, ends_count=False), weight) for corpus, weight in texts.more)
    valid = None if texts.valid is None else replace(texts.valid, ends_count=False)
    return replace(
        texts, train=replace(texts.train, ends_count=False), valid=valid, more=more, evaluate=evaluate_blanks
    )


FAMILY = family_of(Bidirectional, "cloze", shape_of_stack, blanks)
