"""Closed tables of named alternatives: `Choices`, whose error helps the reader choose, and `Loaded`, which waits.

What is in a table is asked of its names alone. `Mapping` itself would look an entry up to say whether it is there, and
so load what nobody has asked for, or take an error inside it for an entry that is missing.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from charlm.errors import ConfigError

T = TypeVar("T")


def closest(name: str, known: list[str]) -> str:
    """A sentence that names the likeliest alternative, or all of them.

    >>> closest("lsmt", ["lstm", "gru"])
    'did you mean lstm?'
    >>> closest("x", ["lstm", "gru"])
    'choose from lstm, gru'
    """
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"


class Choices(Mapping[str, T], Generic[T]):
    """A read-only table. A missing name raises ConfigError with "did you mean".

    >>> Choices("cell", {"lstm": 1, "gru": 2})["lsmt"]
    Traceback (most recent call last):
    charlm.errors.ConfigError: no cell is called 'lsmt'
    """

    def __init__(self, what: str, table: Mapping[str, T]) -> None:
        self.what = what
        self._table = dict(table)

    def __getitem__(self, name: str) -> T:
        try:
            return self._table[name]
        except (KeyError, TypeError):  # a name from a file may be of any type
            raise ConfigError(
                f"no {self.what} is called {name!r}", hint=closest(str(name), list(self._table))
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def get(self, name: str, default: Any = None) -> Any:
        """The entry, or `default` where there is none."""
        return self._table.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


class Loaded(Mapping[str, T], Generic[T]):
    """The entries of a table, each made by `load` when it is asked for, which also says what a missing name is."""

    def __init__(self, names: Mapping[str, Any], load: Callable[[str], T]) -> None:
        self._names, self._load = names, load

    def __getitem__(self, name: str) -> T:
        return self._load(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def get(self, name: str, default: Any = None) -> Any:
        """The entry, or `default` where there is none."""
        return self[name] if name in self._names else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
