"""A step of training beside a plain torch loop of the same network: the same work, turn by turn, ratios of medians.

The peer is what one writes first: `nn.LSTM`, tied `nn.Linear`, `cross_entropy`, autocast, fused AdamW. The
difference is the output layer (`models/output.py`); the rest of our loop must not cost anything.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from charlm.config.models import RecurrentConfig
from charlm.models.recurrent import Recurrent

SHAPES = {  # vocabulary, embedding, hidden, batch size, window
    "poems, V 6,601": (6601, 384, 512, 64, 64),
    "characters, V 65": (65, 128, 512, 64, 128),
    "words, V 10,000": (10_000, 400, 650, 64, 35),
}
ROUNDS = 7


class Plain(nn.Module):
    """The peer."""

    def __init__(self, vocab: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, embedding)
        self.core = nn.LSTM(embedding, hidden, num_layers=2, batch_first=True)
        self.narrow = nn.Linear(hidden, embedding)
        self.output = nn.Linear(embedding, vocab)
        self.output.weight = self.embedding.weight

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean loss."""
        logits = self.output(self.narrow(self.core(self.embedding(inputs))[0]))
        return nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def stepper(model: nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """One whole step: forward, backward, clip, AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            nats = loss()
        nats.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def main() -> None:
    """Print the table."""
    print(f"{'network 2 layers, bf16':<24}{'plain torch':>16}{'charlm':>16}{'ratio':>8}   (medians of {ROUNDS} rounds)")
    for name, (vocab, embedding, hidden, rows, window) in SHAPES.items():
        inputs, targets = torch.randint(vocab, (2, rows, window))
        plain = Plain(vocab, embedding, hidden)
        ours = Recurrent(RecurrentConfig(hidden=hidden, embedding=embedding, dropout=0.0), vocab)
        state = ours.initial_state(rows)
        steps = {
            "plain": stepper(plain, lambda m=plain, i=inputs, t=targets: m(i, t)),
            "ours": stepper(ours, lambda m=ours, i=inputs, t=targets, s=state: -m(i, t, s)[0].mean()),
        }
        seconds: dict[str, list[float]] = {key: [] for key in steps}
        for round_number in range(ROUNDS + 2):
            for key, step in steps.items():
                start = time.perf_counter()
                step()
                if round_number >= 2:
                    seconds[key].append(time.perf_counter() - start)
        speed = {key: rows * window / statistics.median(times) for key, times in seconds.items()}
        ratio = speed["ours"] / speed["plain"]
        print(f"{name:<24}{speed['plain']:>12,.0f} t/s{speed['ours']:>12,.0f} t/s{ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
