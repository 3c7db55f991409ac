"""Make the rhyme books of `charlm/poems/tables` from the facts of the Guangyun: `python tables/derive.py`.

206 rhymes of 1008 → 106 groups (平水韵, as schools of the Yuan and later taught them) and 19 parts (词林正韵, 1821);
pinyin → 16 groups (中华通韵, 2019). Writings: the book's own, OpenCC's traditional and simplified ones, and variants.
Needs what README.md names; writes a table and a page of provenance for each book.
"""

import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import guangyun
import merging
import modern
import opencc

HERE = Path(__file__).resolve().parent
TABLES = HERE.parent / "charlm" / "poems" / "tables"
OPENCC_TABLES = Path(opencc.__file__).parent / "dictionary"
VARIANTS = ("STCharacters", "TSCharacters", "TWVariants", "HKVariants", "JPVariants")

Readings = dict[str, set[str]]


def columns(path: Path) -> list[list[str]]:
    """The columns of a table without its comments."""
    lines = (line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return [line.split("\t") for line in lines]


def sourced() -> tuple[Readings, list[str]]:
    """Rhymes (of the 206, divided ones with their lips) of every writing, and sentences about what was found."""
    rhymes, agreement = guangyun.heads()
    pairs = ", ".join(f"{count:,} {where}" for where, count in agreement.items())
    said = [f"heads of the Guangyun: {len(rhymes):,}; pairs of head and rhyme: {pairs}"]
    crossed = guangyun.cross_readings()
    said.append(f"readings that only a gloss gives: {sum(len(new - rhymes[head]) for head, new in crossed.items())}")
    for head, new in crossed.items():
        rhymes[head] |= new
    found: Readings = dict(rhymes)
    later = later_usage(found)
    said.append(f"characters with later usage, by hand: {len(later)}")
    by_hand = written_as(found)
    said.append(f"variants by hand: {len(by_hand)}")
    _take(found, guangyun.written_also(), but=by_hand.keys() | later)
    said.append(f"writings that glosses name: {len(found)} so far")
    _take(found, _neighbours(), but=by_hand.keys() | later)
    _simplify(found)
    said.append(f"with the variants and simplified forms of OpenCC: {len(found):,}")
    _resolve(found, by_hand)
    if lost := sorted(character for character in by_hand if not found.get(character)):
        sys.exit(f"variants.tsv: these lead to no head that is known: {' '.join(lost)}")
    said.append(f"rare characters with today's tone besides: {_today(found)}")
    _simplify(found)
    later_usage(found, only="-")
    return {character: own for character, own in found.items() if own}, said


def later_usage(found: Readings, only: str = "+-") -> set[str]:
    """Add to `found`, or take away, what later.tsv says; the characters that it names."""
    named = set()
    for character, changes, _ in columns(HERE / "later.tsv"):
        named.add(character)
        for change in changes.replace("+", " +").replace("-", " -").split():
            if change[0] not in only:
                continue
            if change[0] == "+":
                found.setdefault(character, set()).add(change[1:])
            else:
                found.setdefault(character, set()).discard(change[1:])
    return named


def written_as(found: Readings) -> Readings:
    """The variants by hand, put into `found` with the rhymes of the head that each leads to."""
    heads: Readings = {}
    for character, head in columns(HERE / "variants.tsv"):
        heads.setdefault(character, set()).add(head)
    _resolve(found, heads)
    return heads


def _resolve(found: Readings, heads: Readings) -> None:
    for character in heads:
        if own := _of_head(character, found, heads, seen=frozenset()):
            found.setdefault(character, set()).update(own)


def _of_head(character: str, found: Readings, heads: Readings, seen: frozenset[str]) -> set[str]:
    own: set[str] = set()
    for head in heads.get(character, set()) - seen:
        own |= found.get(head, set()) | _of_head(head, found, heads, seen | {character})
    return own


def _take(found: Readings, heads: Readings, but: Iterable[str]) -> None:
    """Give each unknown character the rhymes of the known ones that it is another writing of."""
    known = set(found)
    for character, others in heads.items():
        if character in known or character in but:
            continue
        if own := set().union(*(found[other] for other in others if other in known)):
            found[character] = own


def _neighbours() -> Readings:
    """Characters that OpenCC turns into each other."""
    near: Readings = {}
    for name in VARIANTS:
        for character, others in columns(OPENCC_TABLES / f"{name}.txt"):
            for other in others.split():
                if len(other) == 1 and other != character:
                    near.setdefault(character, set()).add(other)
                    near.setdefault(other, set()).add(character)
    return near


def _simplify(found: Readings) -> None:
    """Let a simplified character have the readings of every character that it stands for."""
    for traditional, choices in simplified().items():
        for choice in choices:
            if choice != traditional and found.get(traditional):
                found[choice] = found.get(choice, set()) | found[traditional]


def simplified() -> dict[str, list[str]]:
    """The simplified forms of each traditional character, by OpenCC."""
    return {traditional: choices.split() for traditional, choices in columns(OPENCC_TABLES / "TSCharacters.txt")}


def _today(found: Readings) -> int:
    """Give a rare character today's tone besides, where its first reading of today is of another class than its own.

    Rare is what GB 2312 has in no form: of such characters verse tells nothing. Entering tones are left out, since
    today has none.
    """
    level = {rhyme: tone == "平" for _, tone, *names in merging.PINGSHUI for rhyme in names}
    entering = {rhyme for _, tone, *names in merging.PINGSHUI if tone == "入" for rhyme in names}
    forms = simplified()
    count = 0
    for character, own in found.items():
        plain = {rhyme[0] for rhyme in own if not rhyme.startswith("第")}
        tone = modern.first_tone(character)
        if not tone or plain & entering or any(map(_is_common, [character, *forms.get(character, ())])):
            continue
        now = "平" if tone in "阴阳" else tone
        if {level[rhyme] for rhyme in plain} == {now != "平"}:
            own |= set().union(*(merging.in_tone(rhyme, now) for rhyme in own))
            count += 1
    return count


def _is_common(character: str) -> bool:
    try:
        return bool(character.encode("gb2312"))
    except UnicodeEncodeError:
        return False


def write(name: str, title: str, rows: dict[tuple[str, str], set[str]], story: list[str]) -> None:
    """One table, its rows in the order of the book, and its page of provenance."""
    said = [f"# title: {title}", "# group<TAB>tone<TAB>characters; made by tables/derive.py"]
    lines = [f"{group}\t{tone}\t{''.join(sorted(members))}" for (group, tone), members in rows.items() if members]
    (TABLES / f"{name}.tsv").write_text("\n".join([*said, *lines]) + "\n", encoding="utf-8", newline="\n")
    characters = set().union(*rows.values())
    page = [
        f"# Where {name}.tsv comes from",
        f"{title}. Made by `python tables/derive.py`; `tables/README.md` tells how.",
    ]
    page.append("\n".join(f"- {sentence}" for sentence in story))
    page.append(f"- {len(characters):,} characters, {sum(map(len, rows.values())):,} readings, {len(lines)} rows")
    (TABLES / f"{name}.md").write_text("\n\n".join(page) + "\n", encoding="utf-8", newline="\n")
    print(name, len(characters), "characters", len(lines), "rows")


def main() -> None:
    """Write all three books."""
    TABLES.mkdir(exist_ok=True)
    rhymes, said = sourced()
    sources = [
        f"PyPI `qieyun` {version('qieyun')}: its data file, dedicated to the public domain (CC0 1.0)",
        f"PyPI `tshet-uinh` {version('tshet-uinh')}: MIT licence, copyright Project NK2028 and SkyEye_FAST",
        f"PyPI `opencc-python-reimplemented` {version('opencc-python-reimplemented')}: Apache License 2.0",
        "`tables/variants.tsv` and `tables/later.tsv`: written for charlm by hand",
        "only facts were taken (which character has which rhyme, which are one word); the table is charlm's own",
    ]
    write("pingshui", "平水韵", merging.grouped(rhymes, merging.PINGSHUI), sources + said)
    write("cilin", "词林正韵", merging.grouped(rhymes, merging.CILIN), sources + said)
    pypinyin = (
        f"PyPI `pypinyin` {version('pypinyin')}: MIT licence; the readings of each character, neutral tones left out"
    )
    write("xinyun", "中华通韵", modern.grouped(rhymes, simplified()), [pypinyin, *modern.STORY])


if __name__ == "__main__":
    main()
