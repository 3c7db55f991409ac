"""How much energy the processors have used, where the system lets one read it (RAPL, by Linux's powercap).

It is that of the whole packages, whatever programs ran on them. On many systems only the administrator may read it.
"""

import re
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class Meter:
    """Counts from when it is made. Read it now and then: the system's counters begin anew after minutes to hours."""

    def __init__(self, folder: Path = POWERCAP) -> None:
        self._last: dict[Path, int] = {}
        self._used = 0  # microjoules
        try:
            domains = sorted(folder.iterdir())
        except OSError:
            domains = []
        for domain in domains:
            # Domains inside a package are a part of it; `psys` would count the packages twice.
            if re.fullmatch(r"intel-rapl:\d+", domain.name) and _text(domain / "name").startswith("package"):
                now = _number(domain / "energy_uj")
                if now is not None:
                    self._last[domain] = now

    def joules(self) -> float | None:
        """Energy used so far; None where it cannot be read, or can no more."""
        for domain, before in self._last.items():
            now = _number(domain / "energy_uj")
            if now is None:
                self._last = {}
                break
            if now < before:
                self._used += _number(domain / "max_energy_range_uj") or 0
            self._used += now - before
            self._last[domain] = now
        return self._used / 1e6 if self._last else None


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text.isdecimal() else None
