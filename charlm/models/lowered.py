"""A model that is read in half precision: its large products are, and everything between them stays in float32."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


class Lowered:
    """A model whose every call happens in `computing`, which says how products are made. It learns nothing.

    States, gates and probabilities stay as wide as they were, so a distribution adds to one as it did.
    """

    def __init__(self, model: Any, computing: Callable[[], AbstractContextManager[None]]) -> None:
        self.model, self.computing = model, computing

    def __getattr__(self, name: str) -> Any:
        # What a model offers besides the three methods is asked for by name, so whatever it has is handed on.
        if name.startswith("__") or name in ("model", "computing"):  # asked for before they are there, by a copy
            raise AttributeError(name)
        found = getattr(self.model, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def within(*args: Any, **kwargs: Any) -> Any:
            with self.computing():
                return found(*args, **kwargs)

        return within
