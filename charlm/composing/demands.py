"""What people ask of a poem, character by character, and why it cannot be had."""

from collections.abc import Collection, Mapping

from charlm.composing.automaton import Automaton
from charlm.composing.inventory import is_han
from charlm.composing.ways import Place, letters
from charlm.errors import ConfigError
from charlm.poems.form import Form

LOOSER = {"strict": ("common", "free"), "common": ("free",), "free": ()}
TOLD = {"平": "level (平)", "仄": "oblique (仄)"}


def acrostic(characters: str, column: int, form: Form) -> dict[Place, str]:
    """Characters that stand one in each line: column 1 is the head (藏头), -1 the tail (藏尾).

    Raises ConfigError where there are too many, too few, or a line is too short.
    """
    if odd := next((character for character in characters if not is_han(character)), None):
        raise ConfigError(
            f"--acrostic {characters}: {odd!r} is no Chinese character", hint="give Chinese ones: 春江花月"
        )
    sizes = {len(variant.lines) for variant in form.variants}
    if len(characters) not in sizes:
        wanted = " or ".join(map(str, sorted(sizes)))
        raise ConfigError(
            f"--acrostic {characters} has {len(characters)} characters; {form.name} has {wanted} lines",
            hint="give one character for each line",
        )
    variants = [variant for variant in form.variants if len(variant.lines) == len(characters)]
    short = min(len(line) for line in variants[0].lines)
    if column == 0 or column > short or -column > short:
        raise ConfigError(
            f"--column {column} is not in every line of {form.name}, whose shortest has {short} characters",
            hint="1 is the first character of a line, -1 the last",
        )
    columns = [column - 1 if column > 0 else len(line) + column for line in variants[0].lines]
    return dict(zip(enumerate(columns), characters, strict=True))


def first_lines(text: str, form: Form) -> dict[Place, str]:
    """The characters of lines that are given, one after the other; marks part them, or the form does.

    Raises ConfigError where they are longer than the form.
    """
    characters = [character for character in text if is_han(character)]
    lines = form.variants[0].lines
    for variant in form.variants:
        ends = {sum(variant.lengths[: number + 1]) for number in range(len(variant.lengths))}
        if len(characters) in ends:
            lines = variant.lines
            break
    places = [(number, column) for number, line in enumerate(lines) for column in range(len(line))]
    if len(characters) > len(places):
        raise ConfigError(
            f"--first-line has {len(characters)} characters; the whole of {form.name} has {len(places)}",
            hint="give a line or two of it",
        )
    return dict(zip(places, characters, strict=False))


def joined(*given: Mapping[Place, str]) -> dict[Place, str]:
    """Demands taken together. Raises ConfigError where two ask for another character at one place."""
    found: dict[Place, str] = {}
    for places in given:
        for place, character in places.items():
            if found.setdefault(place, character) != character:
                line, column = place
                raise ConfigError(
                    f"{found[place]} and {character} are both asked for at line {line + 1}, character {column + 1}",
                    hint="leave one of them out",
                )
    return found


def ensure(automaton: Automaton) -> None:
    """Raise ConfigError where an automaton has no poem: the first fixed character that leaves none, or the rhyme.

    Tells the nearest strictness that allows what is asked.
    """
    if not automaton.start().ways:
        raise refusal(automaton)


def refusal(asked: Automaton) -> ConfigError:
    """Why an automaton has no poem."""
    form = asked.form
    strictness = next((looser for looser in LOOSER[asked.strictness] if _is_possible(asked, strictness=looser)), None)
    hint = f"--strictness {strictness} allows it" if strictness else "choose another character, rhyme or form"
    given: dict[Place, str] = {}
    for place, character in sorted(asked.fixed.items()):
        given[place] = character
        if not _is_possible(asked, fixed=given, groups=()):
            return ConfigError(_told(asked, place, character), hint=hint)
    if asked.groups and not _is_possible(asked, fixed={}):
        names = "、".join(sorted(asked.groups))
        return ConfigError(
            f"{form.name} cannot rhyme in {names}: too few characters that the model knows have the tone it wants",
            hint=f"groups that will do: {' '.join(possible_groups(asked))}",
        )
    if asked.groups:
        names = "、".join(sorted(asked.groups))
        return ConfigError(f"the characters that are given cannot rhyme in {names}", hint="leave --rhyme out")
    return ConfigError(
        f"the model knows too few characters to write a {form.name}", hint="use a model that was trained on verse"
    )


def possible_groups(asked: Automaton) -> list[str]:
    """The rhyme groups that the first rhyme of a form may have, in the order of the book."""
    free = Automaton(asked.form, asked.book, asked.tokens, asked.strictness)
    firsts = [(number, letters(variant)[0]) for number, variant in enumerate(asked.form.variants)]
    found = {group for number, letter in firsts for _, group in free.ways.kinds(number, letter)}
    return [group for group in asked.book.groups if group in found]


def _is_possible(
    asked: Automaton,
    *,
    strictness: str | None = None,
    fixed: Mapping[Place, str] | None = None,
    groups: Collection[str] | None = None,
) -> bool:
    other = Automaton(
        asked.form,
        asked.book,
        asked.tokens,
        asked.strictness if strictness is None else strictness,
        asked.fixed if fixed is None else fixed,
        asked.groups if groups is None else groups,
    )
    return bool(other.start().ways)


def _told(asked: Automaton, place: Place, character: str) -> str:
    line, column = place
    where, variants = f"line {line + 1}, character {column + 1}", asked.form.variants
    having = [v.lines[line] for v in variants if line < len(v.lines) and column < len(v.lines[line])]
    if not having:
        return f"{character} would stand at {where}, which {asked.form.name} does not have"
    known = sorted({reading.level for reading in asked.inventory.readings[character]})
    tone = " or ".join(TOLD["平" if level else "仄"] for level in known) or "not in the rhyme book"
    start = f"{character} is {tone}; it cannot stand at {where} of a {asked.form.name} ({asked.strictness})"
    if any(one.rhyme and column == len(one) - 1 for one in having):
        rhymed = {(n, len(one) - 1) for variant in variants for n, one in enumerate(variant.lines[:line]) if one.rhyme}
        ends = [asked.fixed[earlier] for earlier in sorted(rhymed) if earlier in asked.fixed]
        clash = [end for end in ends if not asked.book.rhyme(end, character)]
        return f"{start}: it does not rhyme with {clash[0]}" if clash else f"{start}, where the line rhymes"
    slots = {one.slots[column] for one in having}
    return f"{start}: every pattern has {TOLD[slots.pop()]} there" if len(slots) == 1 and "中" not in slots else start
