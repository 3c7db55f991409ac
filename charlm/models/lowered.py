"""A model that is read with faster, rounded products, while everything between them stays in float32.

fp16  matrices are kept in half precision (`products.py`), on a processor for which torch has FBGEMM
bf16  what is multiplied outside the fused layers is rounded to bf16, on a processor that has units for it

Sums are made in float32, and what comes out is float32: rounding logits as well, as a training in bf16 does, would move
a log-probability by some hundredths of a nat.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Any, cast

import torch

from charlm.config.training import ReadPrecision
from charlm.errors import ConfigError
from charlm.models.products import Packs, may_pack, packed


class Lowered:
    """A model whose every call happens in `computing`, which says how products are made. It learns nothing.

    States, gates and probabilities stay as wide as they were, so a distribution adds to one as it did. What it is made
    of is lowered as well.
    """

    def __init__(self, model: Any, computing: Callable[[], AbstractContextManager[None]]) -> None:
        self.model, self.computing = model, computing

    def __getattr__(self, name: str) -> Any:
        # What a model offers besides the three methods is asked for by name, so whatever it has is handed on.
        if name.startswith("__") or name in ("model", "computing"):  # asked for before they are there, by a copy
            raise AttributeError(name)
        found = getattr(self.model, name)
        if name == "members":
            return tuple(Lowered(member, self.computing) for member in found)
        if not callable(found):
            return found

        @functools.wraps(found)
        def within(*args: Any, **kwargs: Any) -> Any:
            with self.computing():
                return found(*args, **kwargs)

        return within


def lowered(model: Any, wanted: str, device: torch.device) -> Any:
    """The model, to be read with this precision; itself in float32. Raises ConfigError as `choose_reading`."""
    precision = choose_reading(wanted, device)
    return model if precision == "float32" else Lowered(model, functools.partial(reading, precision, {}))


def choose_reading(wanted: str, device: torch.device) -> ReadPrecision:
    """float32, fp16 or bf16; `auto` is the first that there is of bf16, fp16 and float32.

    Raises ConfigError for another name, and where this machine has not what is asked for.
    """
    there: dict[str, Callable[[], bool]] = {"bf16": _multiplies_within, "fp16": may_pack, "float32": lambda: True}
    if wanted not in ("auto", *there):
        raise ConfigError(f"no precision is called {wanted!r}", hint=f"choose from auto, {', '.join(there)}")
    is_processor = device.type == "cpu"
    if wanted == "auto":
        wanted = next(name for name, has in there.items() if name == "float32" or (is_processor and has()))
    elif wanted != "float32" and not is_processor:
        raise ConfigError(f"--precision {wanted} is for processors, and not for {device.type}", hint="leave it out")
    elif not there[wanted]():
        lack = {"bf16": "no units that multiply in it (AMX)", "fp16": "no such products (FBGEMM, on x86)"}[wanted]
        raise ConfigError(
            f"--precision {wanted} cannot be used: this processor has {lack}", hint="leave it out, or take auto"
        )
    return cast(ReadPrecision, wanted)


def choose_drawing(device: torch.device) -> ReadPrecision:
    """The precision for a model that reads few rows at a time, which gain most by fp16; float32 where there is none."""
    return "fp16" if device.type == "cpu" and may_pack() else "float32"


@contextmanager
def reading(precision: ReadPrecision, packs: Packs) -> Iterator[None]:
    """The context in which a model is read with this precision; its matrices are kept in `packs` for fp16.

    torch has one setting for bf16, so while one thread reads in it, products of others are rounded as well.
    """
    if precision == "fp16":
        with packed(packs):
            yield
    elif precision == "bf16":
        with _ROUNDING:
            yield
    else:
        yield


class _Rounding:
    """torch's setting for products in bf16, on while anybody is within."""

    def __init__(self) -> None:
        self.lock, self.within, self.before = Lock(), 0, "none"

    def __enter__(self) -> None:
        products = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
        with self.lock:
            if not self.within:
                self.before, products.fp32_precision = products.fp32_precision, "bf16"
            self.within += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.within -= 1
            if not self.within:
                torch.backends.mkldnn.matmul.fp32_precision = self.before  # type: ignore[attr-defined]


_ROUNDING = _Rounding()


def _multiplies_within() -> bool:
    """Whether products of float32 matrices are computed in bf16 where that is allowed: then they come out otherwise.

    By more than another order of sums makes of them. Products of few rows are not, so one of a usual size is tried.
    """
    left = torch.linspace(0.1, 1.7, 320 * 512).reshape(320, 512)
    right = torch.linspace(-1.3, 0.9, 512 * 2048).reshape(512, 2048)
    exact = torch.mm(left, right)
    with _ROUNDING:
        rounded = torch.mm(left, right)
    return bool((rounded - exact).abs().max() > 1e-4 * exact.abs().max())
