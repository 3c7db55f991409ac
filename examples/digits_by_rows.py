"""N to 1 again: a digit of 8 × 8 pixels, read row by row by every cell, beside logistic regression on the pixels.

    python examples/digits_by_rows.py [--cells lstm gru] [--epochs 20]         (needs scikit-learn)

Three quarters of scikit-learn's 1,797 images, chosen by chance, are learned from, and the others judged.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

from charlm.models.cells import CELLS

HIDDEN, BATCH, RATE = 64, 32, 5e-3


class RowReader(nn.Module):
    """Reads images (B, 8 rows, 8 pixels) from top to bottom, and judges by its last hidden vector: (B, 10)."""

    def __init__(self, cell: str) -> None:
        super().__init__()
        self.cell = CELLS[cell](8, HIDDEN)
        self.output = nn.Linear(HIDDEN, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.cell(2 * images - 1, self.cell.initial_state(len(images)))
        return self.output(hidden[:, -1])


def accuracy(cell: str, images: torch.Tensor, digits: torch.Tensor, learned: int, epochs: int) -> float:
    """Share of the images after the first `learned` that is read right after so many passes over those."""
    torch.manual_seed(1)
    reader = RowReader(cell)
    optimizer = torch.optim.AdamW(reader.parameters(), weight_decay=0.1)
    steps = epochs * (learned // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    for _ in range(steps):
        rows = torch.randint(0, learned, (BATCH,))
        loss = nn.functional.cross_entropy(reader(images[rows]), digits[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return float((reader(images[learned:]).argmax(1) == digits[learned:]).float().mean())


def main(cells: list[str] | None = None, epochs: int = 20) -> dict[str, float]:
    """Print and give the accuracy of each cell, and of logistic regression."""
    found = load_digits()
    order = torch.randperm(len(found.target), generator=torch.Generator().manual_seed(1))
    images = torch.tensor(found.data / 16, dtype=torch.float32)[order]
    digits = torch.tensor(found.target, dtype=torch.int64)[order]
    learned = len(digits) * 3 // 4
    plain = LogisticRegression(max_iter=2000).fit(images[:learned].numpy(), digits[:learned].numpy())
    right = plain.score(images[learned:].numpy(), digits[learned:].numpy())
    accuracies = {"logistic regression": float(right)}
    print(f"{'logistic regression':<20} {right:.1%}")  # noqa: T201
    for cell in cells or list(CELLS):
        accuracies[cell] = accuracy(cell, images.view(-1, 8, 8), digits, learned, epochs)
        print(f"{cell:<20} {accuracies[cell]:.1%}", flush=True)  # noqa: T201
    return accuracies


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", nargs="+", choices=list(CELLS))
    parser.add_argument("--epochs", type=int, default=20)
    main(**vars(parser.parse_args()))
