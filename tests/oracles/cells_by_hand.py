"""Every cell in a few lines of numpy, with back-propagation through time by hand.

One row, T positions: x (T, E), h and c (H,). W reads the input, U the hidden vector, b is added, p looks at the memory;
`a` is what a gate is given. `ahead` functions take numpy arrays or torch tensors, so that automatic differentiation can
go their way as well; `back` functions return the gradient of Σ_t g_t · h_t for everything that `ahead` was given.

Tensors of a cell stand in a dict: "W", "U", "b" with a block of H rows for each gate, "p" a dict of peepholes.
"""

import numpy as np


def sigmoid(a):
    return 1 / (1 + np.exp(-a)) if isinstance(a, np.ndarray) else a.sigmoid()


def tanh(a):
    return np.tanh(a) if isinstance(a, np.ndarray) else a.tanh()


def look(p, c):
    """A peephole is a vector, or a whole matrix."""
    return p @ c if p.ndim == 2 else p * c


def look_back(p, g):
    return p.T @ g if p.ndim == 2 else p * g


def look_weight(p, g, c):
    return np.outer(g, c) if p.ndim == 2 else g * c


SQUASH = {
    "tanh": (tanh, lambda h: 1 - h * h),
    "relu": (lambda a: a * (a > 0), lambda h: (h > 0) * 1.0),
    "sigmoid": (sigmoid, lambda h: h * (1 - h)),
    "linear": (lambda a: a, np.ones_like),
}  # φ, and its derivative told from its value


# ── h = φ(W x + U h + b) ────────────────────────────────────────────────────────────────────────


def simple_ahead(squash, w, x, h):
    hidden = []
    for x_t in x:
        h = SQUASH[squash][0](w["W"] @ x_t + w["U"] @ h + w["b"])
        hidden.append(h)
    return hidden


def simple_back(squash, w, x, h, g):
    hidden = [h, *simple_ahead(squash, w, x, h)]
    of = {name: np.zeros_like(tensor) for name, tensor in w.items()} | {"x": np.zeros_like(x)}
    of_h = np.zeros_like(h)
    for t in reversed(range(len(x))):
        of_a = (of_h + g[t]) * SQUASH[squash][1](hidden[t + 1])
        of["W"] += np.outer(of_a, x[t])
        of["U"] += np.outer(of_a, hidden[t])
        of["b"] += of_a
        of["x"][t] = w["W"].T @ of_a
        of_h = w["U"].T @ of_a
    return of | {"h": of_h}


# ── gated recurrent units: blocks reset, update, candidate ──────────────────────────────────────


def gru_step(w, x_t, h, first):
    """`first`: the state is reset before the product; else after it, where "b'" is inside as well."""
    (w_r, w_z, w_n), (u_r, u_z, u_n), (b_r, b_z, b_n) = (thirds(w[name]) for name in ("W", "U", "b"))
    r = sigmoid(w_r @ x_t + u_r @ h + b_r)
    z = sigmoid(w_z @ x_t + u_z @ h + b_z)
    n = tanh(w_n @ x_t + b_n + (u_n @ (r * h) if first else r * (u_n @ h + w["b'"])))
    return r, z, n, z * h + (1 - z) * n


def thirds(tensor):
    rows = len(tensor) // 3
    return tensor[:rows], tensor[rows : 2 * rows], tensor[2 * rows :]


def gru_ahead(first, w, x, h):
    hidden = []
    for x_t in x:
        *_, h = gru_step(w, x_t, h, first)
        hidden.append(h)
    return hidden


def gru_back(first, w, x, h, g):
    hidden = [h, *gru_ahead(first, w, x, h)]
    of = {name: np.zeros_like(tensor) for name, tensor in w.items()} | {"x": np.zeros_like(x)}
    u_r, u_z, u_n = thirds(w["U"])
    size, of_h = len(h), np.zeros_like(h)
    for t in reversed(range(len(x))):
        h = hidden[t]
        r, z, n, _ = gru_step(w, x[t], h, first)
        of_h = of_h + g[t]
        of_n = of_h * (1 - z) * (1 - n * n)
        of_z = of_h * (h - n) * z * (1 - z)
        if first:
            of_rh = u_n.T @ of_n
            of_r, through_candidate = of_rh * h, of_rh * r
            of["U"][2 * size :] += np.outer(of_n, r * h)
        else:
            of_r, through_candidate = of_n * (u_n @ h + w["b'"]), u_n.T @ (of_n * r)
            of["U"][2 * size :] += np.outer(of_n * r, h)
            of["b'"] += of_n * r
        of_r = of_r * r * (1 - r)
        of_a = np.concatenate([of_r, of_z, of_n])
        of["U"][: 2 * size] += np.outer(of_a[: 2 * size], h)
        of["W"] += np.outer(of_a, x[t])
        of["b"] += of_a
        of["x"][t] = w["W"].T @ of_a
        of_h = of_h * z + through_candidate + u_r.T @ of_r + u_z.T @ of_z
    return of | {"h": of_h}


# ── long short-term memories: blocks i, f, o, g, or f, o, g where the first two are coupled; "capped" where i ≤ 1 - f ─


def lstm_step(w, x_t, h, c, capped=False):
    size, p = len(h), w["p"]
    a = w["W"] @ x_t + w["U"] @ h + w["b"]
    *early, a_f, a_o, a_g = (a[start : start + size] for start in range(0, len(a), size))
    f = sigmoid(a_f + look(p["f"], c)) if "f" in p else sigmoid(a_f)
    i = sigmoid(early[0] + look(p["i"], c)) if "i" in p else sigmoid(early[0]) if early else 1 - f
    i = (i < 1 - f) * i + (i >= 1 - f) * (1 - f) if capped else i
    g = tanh(a_g)
    after = f * c + i * g
    o = sigmoid(a_o + look(p["o"], after)) if "o" in p else sigmoid(a_o)
    return i, f, o, g, o * tanh(after), after


def lstm_ahead(w, x, h, c, capped=False):
    hidden, memory = [], []
    for x_t in x:
        *_, h, c = lstm_step(w, x_t, h, c, capped)
        hidden.append(h)
        memory.append(c)
    return hidden, memory


def lstm_back(w, x, h, c, g, capped=False):
    hidden, memory = ([start, *those] for start, those in zip((h, c), lstm_ahead(w, x, h, c, capped), strict=True))
    p, coupled = w["p"], len(w["b"]) == 3 * len(h)
    of = {name: np.zeros_like(w[name]) for name in ("W", "U", "b")} | {"x": np.zeros_like(x)}
    of_p = {gate: np.zeros_like(tensor) for gate, tensor in p.items()}
    of_h, of_c = np.zeros_like(h), np.zeros_like(c)
    for t in reversed(range(len(x))):
        before, after = memory[t], memory[t + 1]
        i, f, o, cand, *_ = lstm_step(w, x[t], hidden[t], before, capped)
        of_h = of_h + g[t]
        of_o = of_h * tanh(after) * o * (1 - o)
        of_c = of_c + of_h * o * (1 - tanh(after) ** 2)
        if "o" in p:
            of_c = of_c + look_back(p["o"], of_o)
            of_p["o"] += look_weight(p["o"], of_o, after)
        held = coupled or (capped and i == 1 - f)  # what is written is 1 - f
        of_f = of_c * (before - held * cand) * f * (1 - f)
        of_i = of_c * cand * i * (1 - i) * np.logical_not(held)
        of_g = of_c * i * (1 - cand * cand)
        of_c = of_c * f
        for gate, of_gate in (("f", of_f), ("i", of_i)):
            if gate in p:
                of_c = of_c + look_back(p[gate], of_gate)
                of_p[gate] += look_weight(p[gate], of_gate, before)
        of_a = np.concatenate([of_f, of_o, of_g] if coupled else [of_i, of_f, of_o, of_g])
        of["W"] += np.outer(of_a, x[t])
        of["U"] += np.outer(of_a, hidden[t])
        of["b"] += of_a
        of["x"][t] = w["W"].T @ of_a
        of_h = w["U"].T @ of_a
    return of | {"p": of_p, "h": of_h, "c": of_c}
