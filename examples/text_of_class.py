"""1 to N: a line of verse from the number of its characters, which is all that the network is given.

    python examples/text_of_class.py [--cell gru] [--steps 600]

The class, a line of five or of seven, is a learned vector: the first input. From then on the network hears what it has
said. That it stops after the right number of characters shows that it has kept the class in its state.
"""

import argparse
import re
from pathlib import Path

import torch
from torch import nn

from charlm.models.cells import CELLS

CORPORA = Path(__file__).resolve().parent.parent / "corpora"
CLASSES, END = (5, 7), 0


class Writer(nn.Module):
    """Classes (B,) and the ids so far (B, T)  ->  logits of what comes next (B, 1 + T, V)"""

    def __init__(self, vocab: int, cell: str, hidden: int = 96) -> None:
        super().__init__()
        self.start, self.embedding = nn.Embedding(len(CLASSES), hidden), nn.Embedding(vocab, hidden)
        self.cell = CELLS[cell](hidden, hidden)
        self.output = nn.Linear(hidden, vocab)

    def forward(self, classes: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        read = torch.cat([self.start(classes)[:, None], self.embedding(ids)], dim=1)
        hidden, _ = self.cell(read, self.cell.initial_state(len(classes)))
        return self.output(hidden)

    def write(self, classes: torch.Tensor, most: int = 12) -> torch.Tensor:
        """Lines drawn for some classes (B, most)."""
        ids = torch.zeros(len(classes), 0, dtype=torch.int64)
        for _ in range(most):
            drawn = torch.multinomial((self(classes, ids)[:, -1] / 0.7).softmax(1), 1)
            ids = torch.cat([ids, drawn], dim=1)
        return ids


def main(cell: str = "gru", steps: int = 600, seed: int = 1) -> float:
    """Train, print some lines of each class, and give the share of drawn lines that are as long as they should be."""
    torch.manual_seed(seed)
    lines = re.findall("[一-鿿]+", (CORPORA / "quatrains.txt").read_text("utf-8"))
    known = sorted({character for line in lines for character in line})
    number = {character: place for place, character in enumerate(known, 1)}
    ids = torch.tensor([[number[c] for c in line] + [END] * (max(CLASSES) + 1 - len(line)) for line in lines])
    classes = torch.tensor([CLASSES.index(len(line)) for line in lines])
    writer = Writer(len(known) + 1, cell)
    optimizer = torch.optim.AdamW(writer.parameters(), lr=4e-3)
    for _ in range(steps):
        rows = torch.randint(0, len(lines), (32,))
        logits = writer(classes[rows], ids[rows, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids[rows].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        asked = torch.arange(len(CLASSES)).repeat(50)
        drawn = [row[: row.index(END)] if END in row else row for row in writer.write(asked).tolist()]
    right = [len(row) == CLASSES[age] for row, age in zip(drawn, asked.tolist(), strict=True)]
    for row, age in list(zip(drawn, asked.tolist(), strict=True))[:6]:
        print(f"{CLASSES[age]}: {''.join(known[place - 1] for place in row)}")  # noqa: T201
    print(f"{sum(right)} of {len(right)} lines are as long as their class says")  # noqa: T201
    return sum(right) / len(right)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cell", default="gru", choices=list(CELLS))
    parser.add_argument("--steps", type=int, default=600)
    main(**vars(parser.parse_args()))
