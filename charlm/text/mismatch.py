"""Whether some texts are written in the units that a codec knows, told before a model is asked what it makes of them.

A table of tokens that does not fit makes every candidate equally unlikely, and reranking worse than no model at all.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from charlm.errors import ConfigError
from charlm.text.census import script_of
from charlm.text.codec import Codec

MOST_UNKNOWN = 0.10  # share of the tokens
FEWEST_UNKNOWN = 20  # tokens, of which nothing can be concluded
FEWEST_OF_SCRIPT = 0.02  # share of a training text's letters, below which a script is foreign to it
SUBWORDS = {"▁": "sed 's/ //g; s/▁/ /g'", "@@ ": "sed 's/@@ //g'", " ##": "sed 's/ ##//g'"}
UNITS = {
    "char": "characters",
    "word": "words that jieba cuts",
    "spaced": "words between spaces",
    "mixed": "single Han characters and whole words of other scripts",
}
SCRIPTS = {"han": "Han script", "latin": "Latin script", "digit": "digits", "other": "another script"}


def refuse_mismatch(codec: Codec, texts: Iterable[str], allow: str) -> None:
    """Raise ConfigError where more than MOST_UNKNOWN of the tokens are unknown, or pieces of words are marked.

    allow  the option that lets them pass
    """
    several = list(texts)
    ours = _script(_counted(codec)) or "other"
    known = f"the model knows {UNITS[codec.level]} in {SCRIPTS[ours]}"
    for mark, command in SUBWORDS.items():
        marked = sum(mark in text for text in several)
        if 2 * marked > len(several) and not any(mark.strip() in token for token in codec.vocab.tokens[2:]):
            raise ConfigError(
                f"{known}, and the lists are written in pieces of words marked by {mark.strip()}",
                hint=f"join the pieces ({command}), or go on with {allow}",
            )
    _refuse_script(codec, several, known, allow)
    encoded = [codec.line(text) for text in several]
    tokens = sum(len(document.targets) - codec.closing for document in encoded)
    unknown = Counter(token for document in encoded for token in document.unknown)
    if unknown.total() < FEWEST_UNKNOWN or unknown.total() <= MOST_UNKNOWN * tokens:
        return
    cause, remedy = _cause(codec, several, unknown, ours)
    share = f"{unknown.total() / tokens:.0%} of the first {tokens:,} tokens are unknown to it"
    some = " ".join(token for token, _ in unknown.most_common(5))
    raise ConfigError(f"{known}, and {cause}: {share}, such as {some}", hint=f"{remedy}, or go on with {allow}")


def _refuse_script(codec: Codec, texts: Sequence[str], known: str, allow: str) -> None:
    """Refuse lists in a script of whose signs the training text has next to none, though the vocabulary knows them."""
    if not codec.vocab.has_counts:
        return
    theirs, ours = _scripts(Counter(chain.from_iterable(texts))), _scripts(_counted(codec))
    most = max(theirs, key=lambda name: theirs[name], default="")
    share = ours[most] / max(1, ours.total())
    if theirs.total() >= FEWEST_UNKNOWN and theirs[most] > theirs.total() / 2 and share < FEWEST_OF_SCRIPT:
        raise ConfigError(
            f"{known}, and the lists are in {SCRIPTS[most]}, which is {share:.1%} of its training text",
            hint=f"train on such text, or go on with {allow}",
        )


def _scripts(tokens: Counter[str]) -> Counter[str]:
    """The characters of letters and Han by script; digits, marks and spaces are of any."""
    found: Counter[str] = Counter()
    for token, n in tokens.items():
        if token and (script := script_of(token)) in ("han", "latin", "other"):
            found[script] += n * len(token)
    return found


def _cause(codec: Codec, texts: Sequence[str], unknown: Counter[str], ours: str) -> tuple[str, str]:
    """What the lists are written in, and what to do about it."""
    have = set(codec.vocab.tokens)
    for name, change in (("capitals", str.lower), ("small letters", str.upper)):
        if _known_after(change, unknown, have):
            return f"the lists are written in {name}", "change their case"
    theirs = _script(unknown)
    if theirs is None:
        return (
            "the lists have spaces or marks that it never met",
            "leave --as-written out, or take them out of the lists",
        )
    if theirs != ours:
        return f"the lists are in {SCRIPTS[theirs]}", "train on such text, or spell the lists as the training text is"
    if codec.level in ("spaced", "word") and theirs == "han":
        parted = sum(" " in text.strip() for text in texts)
        if codec.level == "spaced" and 2 * parted < len(texts):
            return "the lists write sentences without spaces", "part their words by spaces, or train with --level char"
    if theirs == "han":
        return "the lists have other characters, perhaps traditional ones", "train on text like them or with --simplify"
    return "the lists have other words", "train on text like them"


def _known_after(change: Callable[[str], str], unknown: Counter[str], have: set[str]) -> bool:
    return 2 * sum(n for token, n in unknown.items() if change(token) in have) > unknown.total()


def _counted(codec: Codec) -> Counter[str]:
    return Counter(dict(zip(codec.vocab.tokens[2:], (max(1, n) for n in codec.vocab.counts[2:]), strict=True)))


def _script(tokens: Counter[str]) -> str | None:
    """The script of most tokens; None where most are marks and spaces."""
    scripts: Counter[str] = Counter()
    for token, n in tokens.items():
        if token:
            scripts[script_of(token)] += n
    most = max(scripts, key=lambda name: scripts[name], default="other")
    return most if most in SCRIPTS else None
