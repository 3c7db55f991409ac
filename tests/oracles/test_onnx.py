"""Every cell that ONNX defines equals onnxruntime's own kernels with the same weights, in float32.

Both packages are the extra `oracles`: pip install 'charlm[oracles]'. ONNX has gates in another order (input, output,
forget, candidate; update, reset, candidate), coupled gates the other way round (f = 1 - i, so that what is our forget
gate is its input gate with all signs turned), and diagonal peepholes alone.
"""

import warnings

import numpy as np
import pytest
import torch

from charlm.models.cells import CELLS

ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'charlm[oracles]'")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'charlm[oracles]'")

ROWS, TIME, WIDTH, HIDDEN = 3, 9, 5, 7
SQUASH = {"rnn-tanh": "Tanh", "rnn-relu": "Relu", "rnn-sigmoid": "Sigmoid", "rnn-linear": "Affine"}
LOOKS = ("", "i", "f", "o", "ifo")
KINDS = {
    **{name: {} for name in CELLS},
    **{f"lstm-peephole {looks}".strip(): {"peepholes": looks} for looks in LOOKS},
    **{f"lstm-coupled {looks}": {"peepholes": looks} for looks in ("f", "o", "fo")},
}


def made(kind):
    torch.manual_seed(6)
    cell = CELLS[kind.split(" ")[0]](WIDTH, HIDDEN, **KINDS[kind])
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.uniform_(-0.7, 0.7)
    return cell


def ordered(tensor, order, signs=()):
    """Blocks of H rows in another order, some with their signs turned; None is a block of zeros."""
    blocks = [tensor[HIDDEN * place : HIDDEN * (place + 1)] for place in range(len(tensor) // HIDDEN)]
    signs = signs or [1] * len(order)
    chosen = [np.zeros_like(blocks[0]) if place is None else blocks[place] for place in order]
    return np.concatenate([sign * block for sign, block in zip(signs, chosen, strict=True)])


def peepholes_of(cell, coupled):
    """P (1, 3H), for ONNX's input, output and forget gate; absent ones are zero."""
    looks = {gate: tensor.detach().numpy() for gate, tensor in cell.step.peepholes.items()}
    nothing = np.zeros(HIDDEN, dtype=np.float32)
    if coupled:
        looks = {"i": -looks.get("f", nothing), "o": looks.get("o", nothing)}
    return np.concatenate([looks.get(gate, nothing) for gate in "iof"])[None]


def node_of(kind, cell):
    """(operator, its attributes, order of blocks, signs, extra inputs by name)"""
    name = kind.split(" ")[0]
    if name.startswith("rnn"):
        affine = {"activation_alpha": [1.0], "activation_beta": [0.0]} if name == "rnn-linear" else {}
        return "RNN", {"activations": [SQUASH[name]], **affine}, (0,), (), {}
    if name.startswith("gru"):
        return "GRU", {"linear_before_reset": int(name == "gru")}, (1, 0, 2), (), {}
    if name == "lstm":
        return "LSTM", {}, (0, 3, 1, 2), (), {}
    if name == "lstm-coupled":
        return "LSTM", {"input_forget": 1}, (0, 1, None, 2), (-1, 1, 1, 1), {"P": peepholes_of(cell, True)}
    return "LSTM", {}, (0, 2, 1, 3), (), {"P": peepholes_of(cell, False)}


def by_onnxruntime(kind, cell, x, state):
    operator, attributes, order, signs, extra = node_of(kind, cell)
    tensors = {name.split(".", 1)[1]: tensor.detach().numpy() for name, tensor in cell.named_parameters()}
    read, recurrent = (tensors.get(name, tensors.get(f"{name}_l0")) for name in ("weight_ih", "weight_hh"))
    first = tensors.get("bias", tensors.get("bias_ih_l0"))
    second = tensors.get("bias_hh_l0", np.zeros_like(first))
    biases = np.concatenate([ordered(bias, order, signs) for bias in (first, second)])[None]
    weights = {
        "W": ordered(read, order, signs)[None],
        "R": ordered(recurrent, order, signs)[None],
        "B": biases,
        **extra,
    }
    names = ["X", "W", "R", "B", "", *(["h", "c"] if operator == "LSTM" else ["h"]), *extra]
    outputs = ["Y", *(f"{name}_after" for name in ("h", "c")[: len(state)])]
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(operator, names, outputs, hidden_size=HIDDEN, **attributes)],
        "cell",
        [helper.make_tensor_value_info("X", number, [TIME, ROWS, WIDTH])]
        + [helper.make_tensor_value_info(name, number, [1, ROWS, HIDDEN]) for name in "hc"[: len(state)]],
        [helper.make_tensor_value_info(name, number, None) for name in outputs],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(tensor), name) for name, tensor in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {"X": np.ascontiguousarray(x.transpose(1, 0, 2))}
    given |= {name: leaf[None] for name, leaf in zip("hc", state, strict=False)}
    hidden, *after = session.run(None, given)
    return hidden[:, 0].transpose(1, 0, 2), [leaf[0] for leaf in after]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_equals_the_kernel_of_onnxruntime(kind):
    cell = made(kind)
    draw = np.random.default_rng(8)
    x = draw.normal(size=(ROWS, TIME, WIDTH)).astype(np.float32)
    state = [draw.normal(size=(ROWS, HIDDEN)).astype(np.float32) for _ in cell.initial_state(1)]
    with torch.no_grad():
        hidden, after = cell(torch.from_numpy(x), tuple(map(torch.from_numpy, state)))
    expected, leaves = by_onnxruntime(kind, cell, x, state)
    np.testing.assert_allclose(hidden.numpy(), expected, rtol=1e-5, atol=1e-5)
    for leaf, there in zip(after, leaves, strict=True):
        np.testing.assert_allclose(leaf.numpy(), there, rtol=1e-5, atol=1e-5)
