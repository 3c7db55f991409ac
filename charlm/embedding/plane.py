"""Words as points of a picture: the two directions in which some words differ most. No torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from charlm import storage
from charlm.embedding.vectors import WordVectors
from charlm.errors import VectorsError

# Fonts that have Chinese characters, as systems bring them.
FONTS = ("Noto Sans CJK SC", "Noto Serif CJK SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
         "SimHei", "Microsoft YaHei", "PingFang SC", "Songti SC", "Arial Unicode MS", "Noto Sans CJK JP",
         "Droid Sans Fallback")  # fmt: skip


def points(vectors: WordVectors, words: Sequence[str]) -> tuple[npt.NDArray[np.float64], float]:
    """Some words in two dimensions (N, 2), and the share of their variance that these show.

    Principal components (Pearson 1901) of their vectors at length 1. Of each axis the sign is such that its largest
    number is positive, so that a picture does not hang on the machine.
    Raises VectorsError for a word without a vector, and for fewer than two words.
    """
    chosen = list(dict.fromkeys(words))
    rows = vectors.directions[vectors.several(chosen)].astype(np.float64)
    if len(chosen) < 2:
        raise VectorsError("a picture of one word shows nothing", hint="name two words or more")
    rows = rows - rows.mean(0)
    left, sizes, _ = np.linalg.svd(rows, full_matrices=False)
    left, sizes = left[:, :2], np.append(sizes, 0.0)
    flat = np.zeros((len(chosen), 2))
    flat[:, : left.shape[1]] = left * sizes[: left.shape[1]]
    for axis in flat.T:
        axis *= -1 if axis[np.argmax(np.abs(axis))] < 0 else 1
    whole = float((sizes**2).sum())
    return flat, float((sizes[:2] ** 2).sum()) / whole if whole else 1.0


def picture(words: Sequence[str], flat: npt.NDArray[np.float64], share: float, path: Path) -> str | None:
    """Write a PNG of points (N, 2) with their words; what is to be said of it, such as a missing font.

    Raises ImportError without matplotlib.
    """
    from matplotlib import font_manager
    from matplotlib.figure import Figure

    wide = any(ord(character) > 0x2E80 for word in words for character in word)
    known = {font.name for font in font_manager.fontManager.ttflist} if wide else set()
    font = next((name for name in FONTS if name in known), None)
    shown = list(words)
    remark = None
    if wide and font is None:
        shown = [word if word.isascii() else str(number) for number, word in enumerate(words, 1)]
        remark = "no font with Chinese characters was found, so words are shown by their number; one is fonts-noto-cjk"
    figure = Figure(figsize=(8, 8), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(flat[:, 0], flat[:, 1], s=12)
    for word, place in zip(shown, flat, strict=True):
        axes.annotate(word, place, xytext=(4, 4), textcoords="offset points", fontfamily=font, parse_math=False)
    axes.set_title(f"first two principal components: {share:.0%} of the variance")
    axes.axhline(0, linewidth=0.5, color="0.8", zorder=0)
    axes.axvline(0, linewidth=0.5, color="0.8", zorder=0)
    with storage.whole_file(path) as temporary, temporary.open("wb") as handle:
        figure.savefig(handle, format="png")
    return remark
