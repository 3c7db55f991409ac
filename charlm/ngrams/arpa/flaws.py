"""What can be wrong with an ARPA file: what was expected, the cause and the cure, and what lenient reading does."""

from dataclasses import dataclass

from charlm.config.models import LARGEST_ORDER

LONGEST_LINE = 1 << 16  # bytes
LARGEST_COUNT = 1 << 32


@dataclass(frozen=True)
class Flaw:
    """Something that strict reading refuses.

    expected  completes "expected …, found …"; {n} stands for the order that is read
    hint      cause and cure
    repair    what lenient reading does; None where it refuses too
    """

    expected: str
    hint: str
    repair: str | None = None


MAKE_ANEW = "write it anew with the tool that made it"
DAMAGED = f"the file was damaged or edited by hand; {MAKE_ANEW}, or read it leniently to do without such lines"

OTHER_FORMATS = {  # first bytes: what they are, and what to do
    b"\x1f\x8b": ("gzip data", "unpack it first: gzip -dc FILE > model.arpa"),
    b"BZh": ("bzip2 data", "unpack it first: bzip2 -dc FILE > model.arpa"),
    b"\xfd7zXZ": ("xz data", "unpack it first: xz -dc FILE > model.arpa"),
    b"\x28\xb5\x2f\xfd": ("zstd data", "unpack it first: zstd -dc FILE > model.arpa"),
    b"PK\x03\x04": ("a zip archive", "unpack it first: unzip FILE"),
    b"mmap lm ": (
        "a binary file of KenLM",
        "KenLM cannot turn it back into text; take the ARPA file from which build_binary made it",
    ),
    b"blmt": ("a binary file of IRSTLM", "turn it into text: compile-lm FILE --text=yes model.arpa"),
    b"Qblmt": ("a binary file of IRSTLM", "turn it into text: compile-lm FILE --text=yes model.arpa"),
    b"iARPA": ("an iARPA file of IRSTLM", "turn it into ARPA: compile-lm FILE --text=yes model.arpa"),
    b"qARPA": (
        "a qARPA file of IRSTLM, whose numbers are codes and no log-probabilities",
        "take the ARPA file from which quantize-lm made it",
    ),
    b"SRILM_BINARY": ("a binary file of SRILM", "turn it into text: ngram -order N -lm FILE -write-lm model.arpa"),
    b"\xff\xfe": ("UTF-16 text", "turn it into UTF-8: iconv -f UTF-16 -t UTF-8 FILE > model.arpa"),
    b"\xfe\xff": ("UTF-16 text", "turn it into UTF-8: iconv -f UTF-16 -t UTF-8 FILE > model.arpa"),
}

TOO_LONG = Flaw(
    f"lines of at most {LONGEST_LINE:,} bytes",
    "this is no ARPA file, or it was damaged; is it packed or binary?",
)
BLANK = Flaw("n-grams", "this is no ARPA file, or it was damaged; " + MAKE_ANEW)
PREAMBLE = Flaw(
    r"\data\ as the first line",
    r"an ARPA file begins with \data\ (KenLM, SRILM and IRSTLM write it); lines before it can be skipped leniently",
    r"lines before \data\ left out",
)
NO_DATA = Flaw("a line \\data\\", "this is no ARPA file; make one with KenLM's lmplz or SRILM's ngram-count")
DECLARATION = Flaw("a line `ngram N=COUNT`", f"the header was damaged or edited by hand; {MAKE_ANEW}")
CONSECUTIVE = Flaw("orders to be declared as 1, 2, 3, …", f"the header was damaged or edited by hand; {MAKE_ANEW}")
TOO_MANY = Flaw(f"at most {LARGEST_COUNT:,} n-grams of an order", f"the header was damaged; {MAKE_ANEW}")
TOO_HIGH = Flaw(f"an order of at most {LARGEST_ORDER}", "is this an n-gram model? make one of a lower order")
HEADER = Flaw("\\{n}-grams: or \\end\\", f"sections stand in ascending order, none left out; {MAKE_ANEW}")
UNDECLARED = Flaw(
    r"only the sections that \data\ declares",
    f"a line `ngram N=COUNT` is missing in the header; {MAKE_ANEW}, or read it leniently",
    r"sections read that \data\ does not declare",
)
UNOPENED = Flaw(
    r"\{n}-grams:",
    r"\data\ declares more orders than there are sections; " + f"{MAKE_ANEW}, or read what is there leniently",
    r"sections missing that \data\ declares",
)
MISCOUNTED = Flaw(
    r"as many {n}-grams as \data\ declares",
    f"lines were lost or added after the file was made; {MAKE_ANEW}, or read what is there leniently",
    r"sections of another size than \data\ declares",
)
CUT_SHORT = Flaw(
    "\\end\\",
    "the file was cut short: a full disk, or a copy that broke off; fetch or make it again",
    r"no \end\, the file was cut short; what is there was read",
)
CUT_LINE = Flaw("the end of a line", CUT_SHORT.hint, "a last line that was cut short left out")
NO_WORDS = Flaw("n-grams", "the file was cut short or is no model; make one with KenLM's lmplz or SRILM's ngram-count")
TRAILING = Flaw(
    "nothing after \\end\\",
    "two files were joined, or something was appended; remove the trailing lines",
    r"trailing lines after \end\ left out",
)
FIELDS = Flaw(
    "a log-probability, the words of a {n}-gram and perhaps a backoff",
    "a word with a space in it, or a missing line `\\N-grams:`; " + DAMAGED,
    "lines with a wrong number of fields left out",
)
UNREADABLE = Flaw(
    "a number",
    f"a comma is no decimal point (run the tool that made it with LC_ALL=C); else {DAMAGED}",
    "lines with an unreadable number left out",
)
UNBOUNDED = Flaw(
    "a finite number",
    f"the model was broken when it was made, often by counts too few for its discounts; {MAKE_ANEW}",
)
MINUS_INFINITY = Flaw(
    "a finite number",
    "a probability of 0 is written -99; put that here, or read the file leniently",
    "numbers of minus infinity read as -99",
)
LARGEST_ROUNDING = 1e-3  # log10 that a log-probability may lie above 0 by rounding alone
COSTS = Flaw(
    "a log-probability of at most 0",
    "are these costs, -log10 of the probabilities? turn the sign of every probability and backoff; "
    f"else the file was damaged: {MAKE_ANEW}",
)
POSITIVE = Flaw(
    "a log-probability of at most 0",
    "IRSTLM is known for such rounding errors; put 0 here, or read the file leniently",
    "log-probabilities that rounding made positive set to 0",
)
USELESS_BACKOFF = Flaw(
    "no backoff in the highest order",
    r"sections of a longer model were left out, or a line `ngram N=COUNT` is missing; "
    "make the model anew with this order, or read it leniently",
    "backoffs of the highest order left out",
)
NOT_UTF8 = Flaw(
    "words in UTF-8",
    "turn the file into UTF-8: iconv -f ENCODING -t UTF-8 FILE > model.arpa",
    "words that are not UTF-8 left out",
)
TWICE = Flaw("every {n}-gram once", f"two models were joined; {DAMAGED}", "n-grams standing twice read once")
FOREIGN_WORD = Flaw(
    r"words that stand among the \1-grams:",
    f"the vocabulary was changed after the model was made, or the file was damaged; {DAMAGED}",
    r"n-grams with a word that is not among the \1-grams: left out",
)
MISPLACED = Flaw(
    "<s> only as the first word and </s> only as the last",
    f"the model was made from texts that hold <s> or </s> themselves; clean them and {MAKE_ANEW}",
    "n-grams with <s> or </s> in the midst left out",
)
NO_CONTEXT = Flaw(
    "the first words of every {n}-gram in the section before",
    "its backoff could not be found: the model was pruned by a tool that leaves such n-grams behind; "
    f"{MAKE_ANEW}, or read it leniently",
    "n-grams left out whose context is missing",
)
NO_BEGIN = Flaw(
    r"<s> among the \1-grams:",
    f"the model was made without sentence boundaries; {MAKE_ANEW}, or read it leniently",
    r"no <s> among the \1-grams:",
)
NO_END = Flaw(r"</s> among the \1-grams:", NO_BEGIN.hint, r"no </s> among the \1-grams:")
