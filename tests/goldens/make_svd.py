#!/usr/bin/env python3
"""LAPACK's singular values and vectors, in float64, of small float32 matrices.

  python tests/goldens/make_svd.py [OUT]        # OUT: tests/goldens/svd/svd.json by default

Needs numpy alone. Arrays are base64 of little-endian numbers, row by row: `matrix` float32 [out, in], `values` float64
[p], `left` float64 [p, out], `right` float64 [p, in], one vector a row, p = min(out, in), values descending.
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np


def orthogonal(random, rows, cols):
    return np.linalg.qr(random.standard_normal((rows, cols)))[0]


def with_values(random, out, inputs, values):
    p = min(out, inputs)
    return (orthogonal(random, out, p) * np.array(values)) @ orthogonal(random, inputs, p).T


def cases(random):
    normal = lambda out, inputs: 0.02 * random.standard_normal((out, inputs))
    yield "square", normal(33, 33)
    yield "tall", normal(71, 21)
    yield "a little tall", normal(26, 20)
    yield "wide", normal(19, 64)
    yield "one row", normal(1, 9)
    yield "graded", normal(20, 20) * 4.0 ** -np.arange(20)
    yield "clusters", with_values(random, 24, 30, [5] * 4 + [2] * 5 + [1, 0.5] + [0.25] * 6 + [0.01] * 7)
    yield "rank 5", normal(28, 5) @ normal(5, 22)


def encoded(array, dtype):
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode()


def main(out):
    random = np.random.default_rng(1)
    made = {}
    for name, matrix in cases(random):
        matrix = matrix.astype("<f4")
        left, values, right = np.linalg.svd(matrix.astype("<f8"), full_matrices=False)
        made[name] = {
            "shape": list(matrix.shape),
            "matrix": encoded(matrix, "<f4"),
            "values": encoded(values, "<f8"),
            "left": encoded(left.T, "<f8"),
            "right": encoded(right, "<f8"),
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"numpy": np.__version__, "cases": made}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "svd" / "svd.json")
