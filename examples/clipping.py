"""Clipping cures exploding gradients and cannot cure vanishing ones: both on one picture.

    python examples/clipping.py [--plot clipping.png]

A linear recurrent network whose matrix has all its singular values at ρ reads on; the gradient of the last loss with
respect to the state k steps back is ρᵏ times that of the last state. Clipping divides the whole gradient by its norm
where that is above 1. Printed are, for ρ below, at and above 1, the norms by lag before and after, each as a share of
the longest: what clipping scales, it scales alike, so no lag gains on another.
"""

import argparse
from pathlib import Path

import torch

from charlm.models.cells import CELLS

RADII, LAGS, HIDDEN = (0.8, 1.0, 1.25), 30, 16


def norms(radius: float, seed: int = 1) -> torch.Tensor:
    """The norm of the gradient at the state 0, 1, … steps before the last one (LAGS,)."""
    torch.manual_seed(seed)
    cell = CELLS["rnn-linear"](HIDDEN, HIDDEN).double()
    torch.nn.init.orthogonal_(cell.step.weight_hh, gain=radius)
    state, states = cell.initial_state(1), []
    for x in torch.randn(LAGS, 1, 1, HIDDEN, dtype=torch.float64):
        _, state = cell(x, state)
        states.append(state[0])
    slope = torch.randn(HIDDEN, dtype=torch.float64)
    loss = (state[0][0] * slope / slope.norm()).sum()  # its gradient at the last state has length 1
    found = torch.autograd.grad(loss, states[::-1])
    return torch.stack([each.norm() for each in found])


def clipped(lengths: torch.Tensor, longest: float = 1.0) -> torch.Tensor:
    """What is left of each part of a gradient whose whole is not to be longer than that."""
    return lengths * min(1.0, longest / float(lengths.norm()))


def main(plot: str | None = None) -> dict[float, tuple[torch.Tensor, torch.Tensor]]:
    """Print and give the norms by lag, before and after clipping, for each ρ."""
    found = {radius: (norms(radius), clipped(norms(radius))) for radius in RADII}
    for radius, (before, after) in found.items():
        shown = "  ".join(f"lag {k}: {float(before[k]):9.3g} → {float(after[k]):9.3g}" for k in (0, 10, LAGS - 1))
        print(f"ρ = {radius:<5} {shown}   whole {float(before.norm()):.3g} → {float(after.norm()):.3g}")  # noqa: T201
    if plot is not None:
        draw(found, Path(plot))
    return found


def draw(found: dict[float, tuple[torch.Tensor, torch.Tensor]], path: Path) -> None:
    """The picture: solid before clipping, dashed after; needs matplotlib."""
    from matplotlib.figure import Figure

    axes = (figure := Figure(figsize=(7, 4.5), dpi=120, layout="constrained")).add_subplot()
    for number, (radius, (before, after)) in enumerate(found.items()):
        axes.semilogy(before, f"C{number}-", label=f"ρ = {radius}")
        axes.semilogy(after, f"C{number}--", label=f"ρ = {radius}, clipped")
    axes.set_xlabel("steps back")
    axes.set_ylabel("norm of the gradient")
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot")
    main(**vars(parser.parse_args()))
