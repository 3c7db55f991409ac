"""ARPA n-grams to tables over a vocabulary, and back.

charlm's `<EOS>` both ends and begins a line. At this border a read one is `<s>` and a predicted one `</s>`;
`<UNK>` is `<unk>`; white space within a token is spelled as in vocab.tsv.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from charlm.errors import ArpaError
from charlm.ngrams.arpa.layout import LN10, NEVER, Arpa, ArpaOrder
from charlm.ngrams.columns import Array
from charlm.ngrams.counts import root, word_type
from charlm.ngrams.search import numbers_of
from charlm.ngrams.tables import Starts, StoredLevel, Tables, Values
from charlm.text.decoding import Note
from charlm.text.vocab import EOS, SPECIALS, SPELLED_UNKNOWN, UNK, escape, unescape

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
IMPOSSIBLE = NEVER * LN10  # nats: what ARPA files write for minus infinity


def tokens_of(arpa: Arpa, source: str) -> tuple[list[str], Array]:
    """The vocabulary of an ARPA model: tokens by id, and the id of each of its words.

    Raises ArpaError where two words would be one token.
    """
    tokens, ids = list(SPECIALS), np.empty(len(arpa.words), dtype=np.int64)
    for number, word in enumerate(arpa.words):
        if word in (BEGIN, END):
            ids[number] = EOS
        elif word in SPELLED_UNKNOWN:
            ids[number] = UNK
        else:
            ids[number] = len(tokens)
            try:
                tokens.append(unescape(word))
            except (ValueError, OverflowError):
                raise ArpaError(
                    f"{source}: the word {word[:60]!r} has an escape that stands for no character",
                    hint="charlm writes white space in words as \\u{20}; other tools may mean something else by it",
                ) from None
    often = Counter(tokens)
    often[SPECIALS[UNK]] = sum(word in SPELLED_UNKNOWN for word in arpa.words)
    twice, many = often.most_common(1)[0]
    if many > 1:
        hint = "leave one of them out of the file"
        if twice == SPECIALS[UNK]:
            hint += f", or read it leniently to keep {UNKNOWN}"
        raise ArpaError(f"{source}: two of its words are the token {twice!r}", hint=hint)
    return tokens, ids


def with_one_unknown(arpa: Arpa, source: str, note: Note) -> Arpa:
    """The same model, where both `<unk>` and `<UNK>` are words without the n-grams of the latter."""
    other = SPECIALS[UNK]
    if not (UNKNOWN in arpa.words and other in arpa.words):
        return arpa
    gone = arpa.words.index(other)
    orders, left_out = [], 0
    for order in arpa.orders:
        kept = (order.grams != gone).all(axis=1)
        grams = order.grams[kept]
        orders.append(ArpaOrder(grams - (grams > gone), order.log_probs[kept], order.backoffs[kept]))
        left_out += len(kept) - len(grams)
    note(f"{source}: both {UNKNOWN} and {other} are words: n-grams with {other} left out ({left_out:,})")
    return replace(arpa, words=[word for word in arpa.words if word != other], orders=orders)


def tables_of(arpa: Arpa, ids: Array, vocab_size: int) -> Tables:
    """Sorted tables of the n-grams: ids (words,) as `tokens_of` gives them. Tokens without a word are impossible."""
    log_probs = np.full(vocab_size, IMPOSSIBLE)
    backoffs = np.zeros(vocab_size)
    begins = np.array([word == BEGIN for word in arpa.words], dtype=bool)
    ends = np.array([word == END for word in arpa.words], dtype=bool)
    singles = arpa.orders[0].grams[:, 0]
    predicted, context = ~begins[singles], ~ends[singles]
    log_probs[ids[singles][predicted]] = arpa.orders[0].log_probs[predicted]
    backoffs[ids[singles][context]] = arpa.orders[0].backoffs[context]
    words, starts = root(vocab_size)
    tries = [(words, Starts.plain(starts))]
    figures = [(log_probs, backoffs)]
    for order in arpa.orders[1:]:
        grams = ids[order.grams]
        keys = numbers_of(tries, grams[:, :-1]) * vocab_size + grams[:, -1]
        sequence = np.argsort(keys)
        parents, words = np.divmod(keys[sequence], vocab_size)
        contexts = len(figures[-1][0])
        starts = np.searchsorted(parents, np.arange(contexts + 1)).astype(np.uint32)
        tries.append((words.astype(word_type(vocab_size)), Starts.plain(starts)))
        figures.append((order.log_probs[sequence], order.backoffs[sequence]))
    levels = [
        StoredLevel(words, starts, _values(lp), _values(bo) if n < len(tries) else None)
        for n, ((words, starts), (lp, bo)) in enumerate(zip(tries, figures, strict=True), 1)
    ]
    return Tables(vocab_size, levels)


def _values(numbers: Array) -> Values:
    return Values(np.asarray(numbers, dtype=np.float32))


def words_of(tokens: list[str]) -> list[str]:
    """How tokens are spelled in an ARPA file: by id, and `<s>` after them all."""
    reserved = {BEGIN, END, UNKNOWN}
    spelled = [escape(t) if t not in reserved else f"\\u{{{ord(t[0]):x}}}{t[1:]}" for t in tokens]
    spelled[EOS], spelled[UNK] = END, UNKNOWN
    return [*spelled, BEGIN]


def blocks_of(tables: Tables) -> Iterator[tuple[Array, Array, Array | None]]:
    """The n-grams as `writing.write` takes them, over the words of `words_of`."""
    begin = tables.vocab_size
    for n in range(1, tables.order + 1):
        for ids, log_probs, backoffs in tables.grams(n):
            if n > 1:
                ids[ids[:, 0] == EOS, 0] = begin
            floor = None if backoffs is None else np.maximum(backoffs.astype(np.float64), IMPOSSIBLE)
            if n == 1 and EOS in ids[:, 0]:
                # One entry becomes two: the end has the probability, the beginning is what goes on.
                yield np.array([[begin]]), np.array([IMPOSSIBLE]), None if floor is None else floor[:1].copy()
                if floor is not None:
                    floor[0] = 0.0
            yield ids, np.minimum(log_probs.astype(np.float64), 0.0), floor


def counts_of(tables: Tables) -> list[int]:
    """How many n-grams of each order an ARPA file of these tables has."""
    return [len(level) + (n == 1) for n, level in enumerate(tables.levels, 1)]
