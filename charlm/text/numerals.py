"""Numbers in digits to the words of Mandarin, as a recogniser that writes digits heard them said.

2023年 → 二零二三年      105人 → 一百零五人      3.5% → 百分之三点五      13800138000 → 一三八零零一三八零零零
"""

import re

DIGITS = "零一二三四五六七八九"
PLACES = ("", "十", "百", "千")
GROUPS = ("", "万", "亿")
NUMBER = re.compile(r"(\d+)(?:\.(\d+))?(%?)(年?)", re.ASCII)
LONGEST = 8  # digits; longer numbers are said digit by digit, as telephones are


def spelled(text: str) -> str:
    """The text with its numbers in words.

    >>> spelled("2023年有105人"), spelled("3.5%"), spelled("10010"), spelled("007")
    ('二零二三年有一百零五人', '百分之三点五', '一万零一十', '零零七')
    """
    return NUMBER.sub(_said, text)


def _said(match: re.Match[str]) -> str:
    whole, fraction, percent, year = match.groups(default="")
    one_by_one = len(whole) > LONGEST or (whole[0] == "0" and len(whole) > 1) or (year and len(whole) == 4)
    said = _each(whole) if one_by_one else cardinal(int(whole))
    said += f"点{_each(fraction)}" if fraction else ""
    return ("百分之" if percent else "") + said + year


def _each(digits: str) -> str:
    return "".join(DIGITS[int(digit)] for digit in digits)


def cardinal(number: int) -> str:
    """A number from 0 to below 10¹² in words.

    >>> cardinal(0), cardinal(15), cardinal(1_020_304), cardinal(100_000_005)
    ('零', '十五', '一百零二万零三百零四', '一亿零五')
    """
    groups = []
    for name in GROUPS:
        number, group = divmod(number, 10_000)
        groups.append((group, name))
    said, skipped = "", False
    for group, name in reversed(groups):
        if group == 0:
            skipped = bool(said)
            continue
        said += ("零" if said and (skipped or group < 1000) else "") + _below_ten_thousand(group) + name
        skipped = False
    said = said.removeprefix("一") if said.startswith("一十") else said
    return said or DIGITS[0]


def _below_ten_thousand(number: int) -> str:
    said, zero = "", False
    for place in reversed(range(4)):
        digit = number // 10**place % 10
        if digit == 0:
            zero = bool(said)
            continue
        said += ("零" if zero else "") + DIGITS[digit] + PLACES[place]
        zero = False
    return said
