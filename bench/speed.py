"""Tokens per second of a training step, beside a plain torch loop, a tuned one, and the products alone.

    python bench/speed.py [--shapes abcde] [--rounds 5] [--busy] [--device cpu|cuda] [--step NAME SHAPE]

Every figure is a process of its own, turn by turn, and the median over the turns; a step is forward, backward, clip
and AdamW. `plain` is what one writes first: `nn.LSTM`, `cross_entropy`, float32. `tuned` knows every trick that needs
no new code: bf16 autocast where the device has it, a fused optimizer, an output loss in chunks on a processor (computed
again on the way back where torch has no `linear_cross_entropy` yet), an allocator that keeps its pages. `charlm` is the
loop of `charlm train`. `products` are the step's matrix products and nothing else, back to back, in the precision that
charlm has chosen: the ceiling. With --busy another process of equal priority works beside them.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

BUSY = "while True: pass"
WARM, SECONDS = 2, 6.0  # steps that do not count, and how long the others are counted
CHUNK = 512  # vectors that a loss in chunks compares at once


@dataclass(frozen=True)
class Shape:
    """A network of LSTM layers, and what a step reads."""

    what: str
    vocab: int
    embedding: int
    hidden: int
    layers: int
    window: int
    rows: int


SHAPES = {
    "a": Shape("characters, 2 × 128", 65, 128, 128, 2, 50, 50),
    "b": Shape("characters, 3 × 512", 65, 512, 512, 3, 100, 100),
    "c": Shape("verse, 2 × 512", 6_000, 256, 512, 2, 64, 64),
    "d": Shape("words, 2 × 650", 10_000, 650, 650, 2, 35, 20),
    "e": Shape("words, 3 × 1150", 10_000, 400, 1150, 3, 70, 40),
}
STEPS = ("plain", "tuned", "charlm", "products")


def timed(step: Callable[[], float]) -> list[float]:
    """Seconds of steps, one after the other; each returns a number of its own, so that a GPU has done it by then."""
    for _ in range(WARM):
        step()
    seconds: list[float] = []
    while sum(seconds) < SECONDS or len(seconds) < 3:
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return seconds


def loop(shape: Shape, tuned: bool, on: str) -> list[float]:
    """A loop of plain torch."""
    from charlm import memory

    if tuned:
        memory.keep_freed()
    import torch
    from torch import Tensor, nn
    from torch.utils.checkpoint import checkpoint

    from charlm.training.devices import choose_precision

    device = torch.device(on)
    bf16 = tuned and choose_precision("auto", device) == "bf16"
    embedding = nn.Embedding(shape.vocab, shape.embedding).to(device)
    core = nn.LSTM(shape.embedding, shape.hidden, num_layers=shape.layers, batch_first=True).to(device)
    narrow = nn.Linear(shape.hidden, shape.embedding) if shape.hidden != shape.embedding else nn.Identity()
    narrow.to(device)
    bias = nn.Parameter(torch.zeros(shape.vocab, device=device))
    parameters = [*embedding.parameters(), *core.parameters(), *narrow.parameters(), bias]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=tuned)
    inputs, targets = torch.randint(shape.vocab, (2, shape.rows, shape.window), device=device)
    fused_loss = getattr(nn.functional, "linear_cross_entropy", None)

    def whole(x: Tensor, wanted: Tensor) -> Tensor:
        return nn.functional.cross_entropy(nn.functional.linear(x, embedding.weight, bias), wanted, reduction="sum")

    def in_chunks(x: Tensor, wanted: Tensor) -> Tensor:
        if fused_loss is not None:
            weight, options = embedding.weight.to(x.dtype), nn.LinearCrossEntropyOptions()
            mean: Tensor = fused_loss(x, weight, wanted, linear_bias=bias.to(x.dtype), options=options)
            return mean * len(x)
        parts = zip(torch.split(x, CHUNK), torch.split(wanted, CHUNK), strict=True)
        return torch.stack([checkpoint(whole, *part, use_reentrant=False) for part in parts]).sum()

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            x = narrow(core(embedding(inputs))[0]).flatten(0, 1)
            chunked = tuned and device.type == "cpu"  # a GPU has room, and chunks would only cost it time
            loss = (in_chunks if chunked else whole)(x, targets.flatten()) / len(x)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return float(loss.detach())

    return timed(step)


def charlm(shape: Shape, on: str) -> list[float]:
    """The loop of `charlm train`, on a text without sense."""
    import numpy as np

    from charlm.config.networks import RecurrentConfig
    from charlm.config.training import TrainingConfig
    from charlm.jobs.train import machine_for
    from charlm.models.recurrent import Recurrent
    from charlm.text.corpus import Corpus, Facts
    from charlm.training import pacing
    from charlm.training.gradient import fit
    from charlm.training.journal import Event, MemoryJournal, Progress
    from charlm.training.texts import Texts

    tokens = 1_000_000
    ids = np.random.default_rng(1).integers(2, shape.vocab, tokens).astype(np.uint16)
    corpus = Corpus(ids, np.array([0, tokens]), Facts(1, tokens, tokens, 0, 0, tokens), "")
    network = RecurrentConfig(layers=shape.layers, hidden=shape.hidden, embedding=shape.embedding, dropout=0.0)
    ends: list[float] = []

    class Enough(Exception):
        pass

    def listen(event: Event) -> None:
        if isinstance(event, Progress):
            ends.append(event.place.seconds)
            if len(ends) >= cold + 3 and ends[-1] - ends[cold - 1] >= SECONDS:
                raise Enough

    settings = TrainingConfig(batch_size=shape.rows, window=shape.window, steps=100_000, validations=1, device=on)
    model = Recurrent(network, shape.vocab)
    machine = machine_for(settings, model)
    # A large training first tries how its steps are best taken, and those are no measure of the others.
    cold = WARM + pacing.STEPS if machine.paced else WARM
    with suppress(Enough):
        fit(model, Texts(corpus, None, True), settings, machine=machine, journal=MemoryJournal(), report=listen)
    return [after - before for before, after in zip(ends[cold - 1 :], ends[cold:], strict=False)]


def products(shape: Shape, on: str) -> list[float]:
    """Every matrix product of a step: forward, and twice as much backward."""
    from charlm import memory

    memory.keep_freed()
    import torch

    from charlm.config.networks import RecurrentConfig
    from charlm.models.recurrent import Recurrent
    from charlm.training.ceiling import step_seconds
    from charlm.training.devices import choose_precision

    device = torch.device(on)
    network = RecurrentConfig(layers=shape.layers, hidden=shape.hidden, embedding=shape.embedding)
    step = Recurrent(network, shape.vocab).products(shape.rows, shape.window)
    precision = choose_precision("auto", device)
    return [step_seconds(step, precision, device) for _ in range(3)]


def one(name: str, shape: Shape, on: str) -> float:
    """The seconds of one step."""
    loops = {"plain": lambda: loop(shape, False, on), "tuned": lambda: loop(shape, True, on),
             "charlm": lambda: charlm(shape, on), "products": lambda: products(shape, on)}  # fmt: skip
    return statistics.median(loops[name]())


def measure(key: str, rounds: int, on: str) -> dict[str, float]:
    """Tokens per second of every loop: medians over rounds in which they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in STEPS}
    for _ in range(rounds):
        for name in STEPS:
            command = [sys.executable, __file__, "--device", on, "--step", name, key]
            seconds[name].append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    tokens = SHAPES[key].rows * SHAPES[key].window
    return {name: tokens / statistics.median(found) for name, found in seconds.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shapes", default="abcde")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--step", nargs=2)
    asked = parser.parse_args()
    if asked.step:
        sys.stdout.write(f"{one(asked.step[0], SHAPES[asked.step[1]], asked.device)}\n")
        return
    other = subprocess.Popen([sys.executable, "-c", BUSY]) if asked.busy else None
    state = "beside a busy process" if other else "on an idle machine"
    print(
        f"tokens/s on {asked.device} {state}, medians of {asked.rounds} rounds; × plain, × tuned, share of the ceiling"
    )
    try:
        for key in asked.shapes:
            speed = measure(key, asked.rounds, asked.device)
            ours = speed["charlm"]
            ratios = f"{ours / speed['plain']:>7.2f}{ours / speed['tuned']:>7.2f}{ours / speed['products']:>7.2f}"
            figures = "".join(f"{speed[name]:>10,.0f} {name}" for name in STEPS)
            print(f"{key} {SHAPES[key].what:<22}{figures}{ratios}", flush=True)
    finally:
        if other is not None:
            other.kill()


if __name__ == "__main__":
    main()
