"""N to 1: of which of two ages a text is, from the state after its last character.

    python examples/class_of_text.py [--cell gru] [--steps 300]

The texts are pieces of five characters, without marks: of classical quatrains, and of everyday sentences of today. A
cell reads a piece from left to right, and a linear layer judges its last state.
"""

import argparse
import random
import re
from pathlib import Path

import torch
from torch import nn

from charlm.models.cells import CELLS

CORPORA = Path(__file__).resolve().parent.parent / "corpora"
AGES = {"classical": "quatrains.txt", "today": "everyday.zh.txt"}
LENGTH = 5


def pieces(file: str) -> list[str]:
    """Runs of Han characters, cut to the same length, so that nothing but their characters tells them apart."""
    runs = re.findall("[一-鿿]{5,}", (CORPORA / file).read_text("utf-8"))
    return sorted({run[:LENGTH] for run in runs})


class Judge(nn.Module):
    """Reads ids (B, T) and judges the last hidden vector: (B, classes)."""

    def __init__(self, vocab: int, classes: int, cell: str, hidden: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, hidden)
        self.cell = CELLS[cell](hidden, hidden)
        self.output = nn.Linear(hidden, classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.cell(self.embedding(ids), self.cell.initial_state(len(ids)))
        return self.output(hidden[:, -1])


def main(cell: str = "gru", steps: int = 300, seed: int = 1) -> float:
    """Train on nine tenths, and give the share of the rest that is judged right."""
    torch.manual_seed(seed)
    texts = [(text, age) for age, file in enumerate(AGES.values()) for text in pieces(file)]
    random.Random(seed).shuffle(texts)
    held = len(texts) // 10
    known = sorted({character for text, _ in texts[held:] for character in text})
    number = {character: place for place, character in enumerate(known, 1)}  # 0: never seen in training
    ids = torch.tensor([[number.get(character, 0) for character in text] for text, _ in texts])
    ages = torch.tensor([age for _, age in texts])
    judge = Judge(len(known) + 1, len(AGES), cell)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=5e-3, weight_decay=0.1)
    for _ in range(steps):
        rows = torch.randint(held, len(texts), (64,))
        loss = nn.functional.cross_entropy(judge(ids[rows]), ages[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = float((judge(ids[:held]).argmax(1) == ages[:held]).float().mean())
    often = float(torch.bincount(ages[:held]).max()) / held
    print(f"{cell}: {right:.1%} of {held} pieces judged right; always the more frequent age: {often:.1%}")  # noqa: T201
    return right


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cell", default="gru", choices=list(CELLS))
    parser.add_argument("--steps", type=int, default=300)
    main(**vars(parser.parse_args()))
