"""The letters and names that every tensor signature uses.

B  rows of a batch: sentences, stripes, samples
T  time: tokens of a window
V  vocabulary
E  embedding
H  hidden units of a layer
L  layers
N  order of an n-gram, or a plain number of rows
"""

from typing import TypeAlias

from torch import Tensor

Ids: TypeAlias = Tensor  # int64 token ids, (B,) or (B, T)
LogProbs: TypeAlias = Tensor  # natural logarithms of probabilities, (B,), (B, T) or (B, V)
Mask: TypeAlias = Tensor  # bool, True where something is real
State: TypeAlias = tuple[Tensor, ...]  # every leaf has the batch as its first dimension
