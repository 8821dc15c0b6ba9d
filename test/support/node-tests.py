"""Writes the ONNX project's own tests of single operators, as its package `onnx` makes them, for test/faults/node-tests.spec.ts.

A folder per test: model.onnx, and case.json with inputs and the outputs that are expected. Beside each whose inputs and
outputs all have a first dimension, `<name>-rows`: the same with that dimension left to the caller.
"""
import base64
import json
import os
import sys

import numpy as np

# Names that newer versions of numpy have dropped, and onnx 1.12 still uses.
for name, kind in (("float", float), ("int", int), ("bool", bool), ("object", object)):
    if not hasattr(np, name):
        setattr(np, name, kind)

import onnx
from onnx.backend.test.case.node import collect_testcases


def shown(value, info):
    if not info.type.HasField("tensor_type"):
        return None
    array = np.asarray(value)
    shape = list(array.shape)
    if array.dtype.kind in "OUS":
        return {"shape": shape, "data": [t.decode() if isinstance(t, bytes) else str(t) for t in array.ravel()]}
    raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    return {"shape": shape, "base64": base64.b64encode(raw).decode()}


def free_rows(model, inputs):
    infos = [*model.graph.input, *model.graph.output]
    for info in infos:
        if not info.type.HasField("tensor_type") or len(info.type.tensor_type.shape.dim) == 0:
            return None
    # Inputs of one item have as many rows each.
    if len({np.shape(value)[:1] for value in inputs}) != 1:
        return None
    free = onnx.ModelProto()
    free.CopyFrom(model)
    for info in [*free.graph.input, *free.graph.output]:
        info.type.tensor_type.shape.dim[0].dim_param = "rows"
    return free


def write(folder, model, case):
    if os.path.exists(folder):
        return
    os.makedirs(folder)
    with open(os.path.join(folder, "model.onnx"), "wb") as file:
        file.write(model.SerializeToString())
    with open(os.path.join(folder, "case.json"), "w") as file:
        json.dump(case, file)


def main(target):
    for test in collect_testcases(None):
        graph = test.model.graph
        inputs, outputs = test.data_sets[0]
        case = {
            "inputs": {i.name: shown(v, i) for i, v in zip(graph.input, inputs)},
            "outputs": {o.name: shown(v, o) for o, v in zip(graph.output, outputs)},
            "rtol": test.rtol,
            "atol": test.atol,
        }
        write(os.path.join(target, test.name), test.model, case)
        free = free_rows(test.model, inputs)
        if free is not None:
            write(os.path.join(target, test.name + "-rows"), free, case)


main(sys.argv[1])
