"""Speed of every cell in training, beside the fused `lstm` of the same sizes.

    python bench/cells.py [--layers 2] [--hidden 256] [--embedding 192] [--rows 32] [--window 64] [--vocab 65]
                          [--rounds 9] [--threads 2] [--cells lstm,gru] [--processor]

A step is what `charlm train` does on a CPU: rows shared among threads, forward, backward, clip, AdamW. All cells take
turns in every round, in one process, in float32. Printed are the median of the steps and the median over the rounds of
the ratio to `lstm` in the same round: a machine that is slow for a while is slow for both. With --processor seconds are
those of the processor instead of the clock, for a machine that others use as well; it is meant for one thread.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from charlm import memory
from charlm.config.networks import CELLS, LOOKING, RecurrentConfig
from charlm.config.training import TrainingConfig
from charlm.models.recurrent import Recurrent
from charlm.shapes import State
from charlm.training.batches import Batch
from charlm.training.crew import Crew
from charlm.training.devices import Machine
from charlm.training.learner import Learner, Surprise

WARM = 2  # rounds that do not count


def kinds() -> dict[str, dict[str, Any]]:
    """Every cell, and those with peepholes in their other forms."""
    found: dict[str, dict[str, Any]] = {name: {"cell": name} for name in CELLS}
    for name, (gates, _) in LOOKING.items():
        if name == "lstm-coupled":
            found[f"{name} {gates}"] = {"cell": name, "peepholes": gates}
        found[f"{name} {gates} full"] = {"cell": name, "peepholes": gates, "full_peepholes": True}
    return found


def read(surprise: nn.Module, batch: Batch, state: State | None) -> tuple[torch.Tensor, State]:
    """The pass of a training."""
    nats, after = surprise(batch.inputs, batch.targets, state)
    return nats.sum(), after


def prepared(knobs: dict[str, Any], asked: argparse.Namespace) -> Callable[[], None]:
    """One step of training of a network of this kind."""
    sizes = {"layers": asked.layers, "hidden": asked.hidden, "embedding": asked.embedding, "dropout": 0.0}
    model = Recurrent(RecurrentConfig(**sizes, **knobs), asked.vocab)
    learner = Learner.of(model, TrainingConfig(), Machine(torch.device("cpu"), "float32", asked.threads))
    inputs, targets = torch.randint(2, asked.vocab, (2, asked.rows, asked.window))
    batch = Batch(inputs, targets, None, inputs.numel(), fresh=True, done=0.0)

    def step() -> None:
        learner.optimizer.zero_grad(set_to_none=True)
        with Crew([Surprise(replica) for replica in learner.replicas], list(model.parameters()), read) as crew:
            crew.learn(batch, None, 1 / inputs.numel())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        learner.step()

    return step


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    numbers = {"layers": 2, "hidden": 256, "embedding": 192, "rows": 32, "window": 64, "vocab": 65, "rounds": 9}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cells", default="")
    parser.add_argument("--processor", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    memory.keep_freed()
    clock = time.process_time if asked.processor else time.perf_counter
    chosen = {name: knobs for name, knobs in kinds().items() if not asked.cells or name in asked.cells.split(",")}
    of_all: dict[str, dict[str, Any]] = {"lstm": {"cell": "lstm"}, **chosen}
    steps = {name: prepared(knobs, asked) for name, knobs in of_all.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(WARM + asked.rounds):
        for name, step in steps.items():
            start = clock()
            step()
            seconds[name].append(clock() - start)
    tokens = asked.rows * asked.window
    print(f"{asked.layers} × {asked.hidden}, {asked.rows} rows of {asked.window}, {asked.threads} threads, float32")
    for name, found in seconds.items():
        ratios = [fused / mine for fused, mine in zip(seconds["lstm"][WARM:], found[WARM:], strict=True)]
        middle = statistics.median(found[WARM:])
        ratio = statistics.median(ratios)
        print(f"{name:<24}{middle * 1000:>8.1f} ms{tokens / middle:>10,.0f} tokens/s{ratio:>7.2f} × lstm", flush=True)


if __name__ == "__main__":
    main()
