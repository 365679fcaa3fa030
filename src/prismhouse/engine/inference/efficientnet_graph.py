"""The network of EfficientNet-Lite2, written as an ONNX graph from its PyTorch weights, without PyTorch.

Batch normalisation is folded into the convolutions. Padding is TensorFlow's SAME, as the weights were trained
with. Source: Tan and Le, EfficientNet, ICML 2019; the lite variant has ReLU6 and no squeeze-and-excitation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prismhouse.engine.inference.torch_file import read_tensors

__all__ = ["RESOLUTION", "build_graph"]

RESOLUTION = 260
_FEATURES, _CLASSES = 1280, 1000
_EPSILON = 1e-3
_OPSET, _IR_VERSION = 17, 8
_STAGES = ((1, 1), (3, 2), (3, 2), (4, 2), (4, 1), (5, 2), (1, 1))
"""Blocks and the first block's stride, for each of the seven stages."""


@dataclass(slots=True)
class _Graph:
    """Nodes and constants so far; each method appends a layer and returns the name of its output."""

    tensors: Mapping[str, npt.NDArray[Any]]
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def constant(self, name: str, value: npt.NDArray[Any] | float) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def convolution(self, source: str, weight: str, norm: str, *, stride: int = 1, groups: int = 1) -> str:
        scale = self.tensors[f"{norm}.weight"] / np.sqrt(self.tensors[f"{norm}.running_var"] + _EPSILON)
        kernel = self.tensors[weight] * scale[:, None, None, None]
        bias = self.tensors[f"{norm}.bias"] - self.tensors[f"{norm}.running_mean"] * scale
        return self.node(
            "Conv",
            [source, self.constant(f"{weight}.w", kernel), self.constant(f"{weight}.b", bias)],
            f"{weight}.out",
            strides=[stride, stride],
            group=groups,
            auto_pad="SAME_UPPER",
            kernel_shape=list(kernel.shape[2:]),
        )

    def relu6(self, source: str) -> str:
        return self.node("Clip", [source, "zero", "six"], f"{source}.relu6")

    def block(self, source: str, index: int, *, stride: int, residual: bool) -> str:
        prefix = f"_blocks.{index}"
        current = source
        if f"{prefix}._expand_conv.weight" in self.tensors:
            current = self.relu6(self.convolution(current, f"{prefix}._expand_conv.weight", f"{prefix}._bn0"))
        depthwise = f"{prefix}._depthwise_conv.weight"
        channels = int(self.tensors[depthwise].shape[0])
        current = self.relu6(self.convolution(current, depthwise, f"{prefix}._bn1", stride=stride, groups=channels))
        current = self.convolution(current, f"{prefix}._project_conv.weight", f"{prefix}._bn2")
        return self.node("Add", [source, current], f"{prefix}.sum") if residual else current


def build_graph(weights: Path) -> bytes:
    """Return the serialised model: `image (n, 3, 260, 260)` in, `features` and `logits` out."""
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph(read_tensors(weights))
    graph.constant("zero", 0.0)
    graph.constant("six", 6.0)
    current = graph.relu6(graph.convolution("image", "_conv_stem.weight", "_bn0", stride=2))
    index = 0
    for blocks, stride in _STAGES:
        for place in range(blocks):
            current = graph.block(current, index, stride=1 if place else stride, residual=place > 0)
            index += 1
    current = graph.relu6(graph.convolution(current, "_conv_head.weight", "_bn1"))
    pooled = graph.node("GlobalAveragePool", [current], "pooled")
    features = graph.node("Flatten", [pooled], "features")
    weight = graph.constant("classifier.w", graph.tensors["_fc.weight"])
    graph.node(
        "Gemm", [features, weight, graph.constant("classifier.b", graph.tensors["_fc.bias"])], "logits", transB=1
    )
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, RESOLUTION, RESOLUTION])]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in (("features", _FEATURES), ("logits", _CLASSES))
    ]
    made = helper.make_graph(graph.nodes, "efficientnet_lite2", inputs, outputs, graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised
