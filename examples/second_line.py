"""N to M with a delay: the second line of a couplet from the first, by encoder and decoder (Sutskever et al. 2014).

    python examples/second_line.py [--cell gru] [--steps 600]

One cell reads the first line; its last state is where another begins, which then writes the second. Two figures of
held-out couplets are printed: nats per character of the second line behind its own first line, and behind that of
another couplet, whose length may differ. What lies between the two is what the state has carried over.
"""

import argparse
import re
from pathlib import Path

import torch
from torch import nn

from charlm.models.cells import CELLS

CORPORA = Path(__file__).resolve().parent.parent / "corpora"
END, LONGEST = 0, 7


class Couplets(nn.Module):
    """First lines (B, T) and second lines (B, M)  ->  nats of each character of the second (B, M)"""

    def __init__(self, vocab: int, cell: str, hidden: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, hidden)
        self.encoder, self.decoder = (CELLS[cell](hidden, hidden) for _ in range(2))
        self.output = nn.Linear(hidden, vocab)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        _, state = self.encoder(self.embedding(first), self.encoder.initial_state(len(first)))
        said = nn.functional.pad(second[:, :-1], (1, 0), value=END)  # the decoder hears what it has said
        hidden, _ = self.decoder(nn.functional.dropout(self.embedding(said), 0.3, self.training), state)
        return nn.functional.cross_entropy(self.output(hidden).transpose(1, 2), second, reduction="none")


def main(cell: str = "gru", steps: int = 600, seed: int = 1) -> tuple[float, float]:
    """Train, and give the nats of held-out second lines behind their own and behind other first lines."""
    torch.manual_seed(seed)
    poems = (CORPORA / "quatrains.txt").read_text("utf-8").splitlines()
    couplets = [re.findall("[一-鿿]+", half) for poem in poems for half in poem.split("。") if half]
    held = len(couplets) // 10
    seen = sorted({character for couplet in couplets[held:] for line in couplet for character in line})
    number = {character: place for place, character in enumerate(seen, 1)}  # those never seen share the last number
    ids = [
        torch.tensor(
            [[number.get(c, len(seen) + 1) for c in couplet[side]] + [END] * (LONGEST + side - len(couplet[side]))
             for couplet in couplets]
        )
        for side in (0, 1)
    ]  # fmt: skip
    model = Couplets(len(seen) + 2, cell)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    for _ in range(steps):
        rows = torch.randint(held, len(couplets), (32,))
        loss = model(ids[0][rows], ids[1][rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        own = float(model(ids[0][:held], ids[1][:held]).mean())
        other = float(model(ids[0][:held].flip(0), ids[1][:held]).mean())
    print(f"{own:.3f} nats a character behind their own first lines, {other:.3f} behind others'")  # noqa: T201
    return own, other


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cell", default="gru", choices=list(CELLS))
    parser.add_argument("--steps", type=int, default=600)
    main(**vars(parser.parse_args()))
