"""A series of real numbers predicted by three linear systems, and the impulse response of each.

    python examples/series.py [--steps 400]

The series answers to an input u:  y_t = 1.2 y_{t-1} - 0.6 y_{t-2} + u_{t-1} + noise.  Who predicts it:

    window       the last 8 inputs: a finite impulse response, exactly zero afterwards       (fitted by least squares)
    NARX         the last 2 outputs and 2 inputs: infinite, by feedback of the output        (fitted by least squares)
    state space  h_t = W_x u_t + W_h h_{t-1} + b, y_{t+1} = w · h_t: the cell `rnn-linear`   (fitted by gradient)
"""

import argparse

import torch
from torch import nn

from charlm.models.cells import CELLS

OUTPUT, INPUT, NOISE = (1.2, -0.6), (1.0,), 0.05
TAPS, HIDDEN, SHOWN = 8, 4, 16


def respond(u: torch.Tensor, of_output: torch.Tensor, of_input: torch.Tensor, noise: float = 0.0) -> torch.Tensor:
    """The output (T,) of a system with feedback: what it says of each input is heard one step later."""
    y = [torch.zeros(())] * len(of_output)
    for t in range(len(u)):
        heard = [u[t - 1 - k] if t - 1 - k >= 0 else torch.zeros(()) for k in range(len(of_input))]
        back = torch.stack(y[::-1][: len(of_output)]) if len(of_output) else torch.zeros(0)
        y.append(of_output @ back + of_input @ torch.stack(heard) + noise * torch.randn(()))
    return torch.stack(y[len(of_output) :])


def fitted(u: torch.Tensor, y: torch.Tensor, outputs: int, inputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights of the last outputs and inputs that predict best in the mean of squares."""
    rows = [torch.cat([y[t - outputs : t].flip(0), u[t - inputs : t].flip(0)]) for t in range(TAPS, len(y))]
    weights = torch.linalg.lstsq(torch.stack(rows), y[TAPS:, None]).solution[:, 0]
    return weights[:outputs], weights[outputs:]


def state_space(u: torch.Tensor, y: torch.Tensor, steps: int) -> tuple[nn.Module, nn.Module]:
    """A linear recurrent cell and its output weights, which hear inputs alone."""
    cell, output = CELLS["rnn-linear"](1, HIDDEN), nn.Linear(HIDDEN, 1)
    with torch.no_grad():
        cell.step.weight_hh.mul_(0.8)  # within the unit circle, so that nothing grows
    optimizer = torch.optim.Adam([*cell.parameters(), *output.parameters()], lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    read, wanted = u[:-1].view(20, -1)[..., None], y[1:].view(20, -1)  # 20 stretches, their beginnings not counted
    for _ in range(steps):
        said = output(cell(read, cell.initial_state(20))[0])[..., 0]
        loss = (said - wanted)[:, SHOWN:].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return cell, output


def main(steps: int = 400, seed: int = 1) -> dict[str, torch.Tensor]:
    """Print and give the responses (16,) to a single 1 at the beginning."""
    torch.manual_seed(seed)
    u = torch.randn(2001)
    y = respond(u, torch.tensor(OUTPUT), torch.tensor(INPUT), NOISE)
    impulse = nn.functional.one_hot(torch.tensor(0), SHOWN + 1).float()
    found = {"true": respond(impulse, torch.tensor(OUTPUT), torch.tensor(INPUT))}
    found["window"] = respond(impulse, *fitted(u, y, 0, TAPS))
    found["NARX"] = respond(impulse, *fitted(u, y, 2, 2))
    cell, output = state_space(u, y, steps)
    with torch.no_grad():
        heard = torch.stack([impulse, torch.zeros_like(impulse)])[..., None]
        said = output(cell(heard, cell.initial_state(2))[0])[..., 0]
        found["state space"] = nn.functional.pad(said[0] - said[1], (1, -1))
    for name, response in found.items():
        print(f"{name:<12}" + " ".join(f"{number:6.2f}" for number in response[1:].tolist()))  # noqa: T201
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=400)
    main(**vars(parser.parse_args()))
