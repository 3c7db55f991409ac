"""Bytes to lines of text: guess the encoding, decode in blocks, normalize, and name the place of what is no text.

Normalizing is NFC, line ends as `\\n`, and no byte-order mark or invisible character; NFKC would fold
，and ！ into ASCII, so it is not used.
"""

import codecs
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import IO

from charlm.errors import TextError

Note = Callable[[str], None]  # receives one sentence about what was chosen or found


BLOCK_BYTES = 1 << 20
LONGEST_LINE = 1 << 24  # characters; what is longer is cut, so that memory stays bounded
# The mark of little-endian UTF-32 begins with that of UTF-16, and stands before it.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Zero-width space, word joiner, byte-order mark, direction marks, soft hyphen. The zero-width joiner and
# non-joiner stay: emoji and Persian need them.
INVISIBLE = dict.fromkeys([0x200B, 0x2060, 0xFEFF, 0x200E, 0x200F, 0x00AD])
INVISIBLE_PATTERN = re.compile("[\u200b\u2060\ufeff\u200e\u200f\u00ad]")
# Very common characters, simplified, traditional and classical: real text has them, mojibake has not.
COMMON = frozenset(
    "的一是了我不人在他有这這个們们來来到时時大地为為子中你说說生国國年着就那和要她出也得里后後自以会會家可下而过過天去能"
    "对對小多然于於心学學么麼之都好看起发發当當没沒成只如事把还還用第样樣道想作种種开開美春花月山风風水云雲日夜秋江"
)
HIRAGANA = frozenset(map(chr, range(0x3041, 0x3094)))
COMMON_HANGUL = frozenset("이다는을의에가고하지은를로한도사기인어자")
COMMON_CYRILLIC = frozenset("оеаинтсрлв")
COMMON_THAI = frozenset("เแโใไ่้์็")  # whose bytes begin no common character of GB18030
# By encoding: characters that are frequent in its language, and their usual share of what is not ASCII.
LEGACY: dict[str, tuple[frozenset[str], float]] = {
    "gb18030": (COMMON, 0.2),
    "big5": (COMMON, 0.2),
    "euc-jp": (HIRAGANA, 0.5),
    "cp932": (HIRAGANA, 0.5),
    "cp949": (COMMON_HANGUL, 0.3),
    "cp1251": (COMMON_CYRILLIC, 0.65),
    "koi8-r": (COMMON_CYRILLIC, 0.65),
    "cp874": (COMMON_THAI, 0.2),
}
# Of the usual share: less than FAINT is another encoding, CLEAR and more can be read without asking.
FAINT, CLEAR = 0.2, 0.35
# One byte a character: any bytes decode, Greek too, so that these are offered where they are half as like as their
# language, and never chosen.
NEVER_SURE = frozenset({"cp1251", "koi8-r", "cp874"})
# Letters and quotes of Western Europe in Windows' code: many legacy files, and nothing to tell their language by, so
# that it is only ever offered, where nothing else is clear.
WESTERN = frozenset("éèêëàáâäãåçíîïñóôöúûùüßøæœÉÈÀÄÖÜ’‘“”–—«»")
ISO_2022 = b"\x1b$"  # how e-mails of East Asia leave ASCII in seven bits, all of which are UTF-8 too
SAMPLE_BYTES = 1 << 18
LOST = "\ufffd"
NOT_TEXT = "name a text file, not a binary one; UTF-16 without its mark is read by --encoding utf-16-le"


def nobody(_: object) -> None:
    """Tell nobody: for a Note, or whatever else is told something."""


def normalize(text: str) -> str:
    """NFC without invisible characters.

    >>> normalize("e\\u0301\\u200b")
    'é'
    """
    if text.isascii():
        return text
    if INVISIBLE_PATTERN.search(text):
        text = text.translate(INVISIBLE)
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _is_big5(text: str) -> bool:
    """Whether second bytes are spread as in Big5: two of five below 0x7f, where other encodings have none."""
    foreign = [c for c in text[:4000] if c > "\x7f" and c != LOST]
    low = sum(c.encode("big5", "replace")[-1] < 0x7F for c in foreign)
    return len(foreign) < 20 or low * 10 > len(foreign)


def likely_encodings(sample: bytes) -> dict[str, tuple[float, str]]:
    """What some bytes may be in: by encoding, how like its language they read (1 is very), and their text.

    A few damaged bytes do not speak against an encoding: the reader will name their place.
    """
    likely = {}
    for encoding, (usual, share_of_text) in LEGACY.items():
        text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
        foreign = [c for c in text if c > "\x7f"]
        hits, lost = sum(c in usual for c in foreign), foreign.count(LOST)
        likeness = hits / max(len(foreign), 1) / share_of_text
        if (
            lost > (0 if encoding in NEVER_SURE else 2 + len(foreign) // 50)
            or likeness < (0.5 if encoding in NEVER_SURE else FAINT)
            or (encoding == "big5" and not _is_big5(text))
        ):
            continue
        likely[encoding] = (min(likeness, 1.0) if hits > 1 else FAINT, text)
    return likely


def guess_encoding(head: bytes, name: str) -> str:
    """UTF-8 if it decodes, else the encoding in which the text reads like its language.

    Raises TextError where none does, or where it is not clear which: then with a line of each candidate.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
        if ISO_2022 in head:
            raise TextError(
                f"{name}: escape codes of ISO-2022 stand between its letters, which would be read as they are",
                hint="name its encoding, for example --encoding iso2022_jp or iso2022_kr, or convert it with iconv",
            )
        return "utf-8"
    except UnicodeDecodeError as error:
        place = error.start
    where = f"{name}:{head.count(10, 0, place) + 1}: byte {place} ({head[place]:#04x}) is not UTF-8"
    as_utf_8 = head.decode("utf-8", "replace")
    lost = as_utf_8.count(LOST)
    if sum(c > "\x7f" for c in as_utf_8) > 5 * lost:
        raise TextError(f"{where}, as the rest of the file is", hint="repair the file, for example with `iconv -c`")
    likely = {}
    if b"\0" not in head:
        start = head.rfind(b"\n", 0, place) + 1
        likely = likely_encodings(head[start : start + SAMPLE_BYTES])
    ranked = sorted(likely, key=lambda encoding: -likely[encoding][0])
    western = _western_line(head[head.rfind(b"\n", 0, place) + 1 :][:SAMPLE_BYTES])
    if not ranked and not western:
        raise TextError(
            f"{where}, and the file does not look like text in an old encoding of East Asia or Russia either",
            hint="name its encoding with --encoding, or convert it with iconv; a binary file cannot be read",
        )
    best = likely[ranked[0]][0] if ranked else 0.0
    rivals = [encoding for encoding in ranked if likely[encoding][0] * 2 > best]
    if best >= CLEAR and len(rivals) == 1 and ranked[0] not in NEVER_SURE:
        return ranked[0]
    shown = [f"{encoding}: {_foreign_line(likely[encoding][1])}" for encoding in rivals]
    shown += [f"cp1252: {western}"] if western else []
    raise TextError(
        f"{where}; it may be in one of these, and it is not clear that it is:\n" + "\n".join(shown),
        hint="if one of them reads well, name it with --encoding; if none does, ask where the file comes from",
    )


def _western_line(sample: bytes) -> str:
    """The first line that is not ASCII as Western Europe reads it; empty where it is not like its languages."""
    text = sample.decode("cp1252", "replace")
    foreign = [c for c in text if c > "\x7f"]
    return _foreign_line(text) if 2 * sum(c in WESTERN for c in foreign) > len(foreign) else ""


def _foreign_line(text: str) -> str:
    """The beginning of the first line that is not ASCII, fit to be shown."""
    line = next((line for line in text.split("\n") if not line.isascii()), "")
    return "".join(c if c.isprintable() else "?" for c in line.strip()[:40])


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    try:
        "a".encode(encoding)  # says of hex and rot13, as the next line does not, that they are no encodings of text
        return codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
    except (LookupError, ValueError) as error:
        hint = "for example utf-8, gb18030, big5, utf-16"
        raise TextError(f"no encoding of text is called {encoding!r}", hint=hint) from error


def decoded_lines(raw: IO[bytes], name: str, encoding: str | None, note: Note) -> Iterator[str]:
    """Normalized lines, each with its `\\n`; raises TextError with file, line and byte."""
    block = raw.read(BLOCK_BYTES)
    chosen = encoding if encoding is not None else guess_encoding(block, name)
    if encoding is None and chosen != "utf-8":
        note(f"{name}: read as {chosen}; give --encoding if that is wrong")
    decoder = _decoder(chosen)
    waiting, bytes_read, lines_read = "", 0, 0
    while True:
        bytes_read += len(block)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line = lines_read + (waiting.count("\n")) + bytes(error.object[: error.start]).count(b"\n") + 1
            byte = bytes_read - len(error.object) + error.start
            raise TextError(
                f"{name}:{line}: byte {byte} ({error.object[error.start]:#04x}) is not {chosen}",
                hint="name the encoding with --encoding, or repair the file with `iconv -c`",
            ) from error
        except UnicodeError as error:
            hint = "name its byte order: --encoding utf-16-le or utf-16-be"
            raise TextError(f"{name}: cannot be read as {chosen}: {error}", hint=hint) from error
        waiting += text
        # A block may end between \r and \n: that \r waits for the next block.
        held = "\r" if block and waiting.endswith("\r") else ""
        whole = waiting[: len(waiting) - len(held)]
        if "\r" in whole:
            whole = whole.replace("\r\n", "\n").replace("\r", "\n")
        cut = whole.rfind("\n") + 1
        if not block or (cut == 0 and len(whole) > LONGEST_LINE):
            cut = len(whole)
        waiting, whole = whole[cut:] + held, whole[:cut]
        if "\0" in whole:
            line = lines_read + whole[: whole.index("\0")].count("\n") + 1
            raise TextError(f"{name}:{line}: a zero byte: this is not text", hint=NOT_TEXT)
        *ended, rest = normalize(whole).split("\n")
        for line_text in ended:
            yield line_text + "\n"
        if rest:
            yield rest
        lines_read += len(ended)
        if not block:
            return
        block = raw.read(BLOCK_BYTES)
