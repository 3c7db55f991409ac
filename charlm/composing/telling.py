"""What a model is told before it writes: names of control tokens, and the ids of a prefix."""

from collections.abc import Iterable
from dataclasses import dataclass

from charlm.composing.annotating import Annotation
from charlm.composing.themes import CLOSES, OPENS, characters_of
from charlm.errors import ConfigError
from charlm.text.vocab import UNK, Vocab

NAMED = ("form", "tune", "rhyme")  # kinds that have a token for each thing, in the order in which they are read


def named(kind: str, name: str) -> str:
    """The control token of one thing.

    >>> named("form", "七绝")
    '<form:七绝>'
    """
    return f"<{kind}:{name}>"


def names_of(annotation: Annotation, kinds: Iterable[str]) -> tuple[str, ...]:
    """The control token of each kind, empty where a poem has none of it."""
    found = {"form": annotation.form, "tune": annotation.tune, "rhyme": annotation.rhyme}
    return tuple(named(kind, found[kind]) if found[kind] else "" for kind in kinds)


@dataclass(frozen=True)
class Prefix:
    """What is read before a poem.

    ids    control tokens, and a theme between two of them
    unmet  what was asked for and cannot be told, since the run was not trained with it, each as a word or two
    """

    ids: tuple[int, ...]
    unmet: tuple[str, ...] = ()


def prefix(vocab: Vocab, annotation: Annotation, theme: str = "") -> Prefix:
    """The prefix that tells a model what it shall write.

    Raises ConfigError for a theme of characters that the model does not know.
    """
    known, ids, unmet = set(vocab.control_names), [], []
    for name in names_of(annotation, NAMED):
        if name in known:
            ids.append(vocab.control(name))
        elif name:
            unmet.append(name)
    if theme and takes_themes(vocab):
        ids += theme_ids(vocab, theme)
    elif theme:
        known_characters(vocab, theme)
        unmet.append(OPENS)
    return Prefix(tuple(ids), tuple(unmet))


def things_told(vocab: Vocab) -> dict[str, list[str]]:
    """What a model can be told, by kind, in the order of its vocabulary; a theme has no names."""
    found: dict[str, list[str]] = {kind: [] for kind in NAMED}
    for name in vocab.control_names:
        kind, _, thing = name[1:-1].partition(":")
        if thing and kind in found:
            found[kind].append(thing)
    return {kind: names for kind, names in found.items() if names} | ({"theme": []} if takes_themes(vocab) else {})


def takes_themes(vocab: Vocab) -> bool:
    """Whether a run was trained with themes."""
    return {OPENS, CLOSES} <= set(vocab.control_names)


def theme_ids(vocab: Vocab, theme: str) -> list[int]:
    """The ids that tell a theme, none for an empty one.

    Raises ConfigError where the run was not trained with themes, or does not know its characters.
    """
    if not theme:
        return []
    if not takes_themes(vocab):
        raise ConfigError("the run was trained with no themes", hint="charlm train TEXT --control theme")
    return [vocab.control(OPENS), *known_characters(vocab, theme), vocab.control(CLOSES)]


def known_characters(vocab: Vocab, theme: str) -> list[int]:
    """The ids of the characters of a theme; raises ConfigError where the model does not know one."""
    characters = characters_of(theme)
    ids = [vocab.id(character) for character in characters]
    if unknown := [character for character, number in zip(characters, ids, strict=True) if number == UNK]:
        raise ConfigError(
            f"--theme {theme}: the model does not know {' '.join(unknown)}",
            hint="choose words that the training poems have, in the characters that they are written in",
        )
    return ids
