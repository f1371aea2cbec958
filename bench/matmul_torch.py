#!/usr/bin/env python3
"""Products in PyTorch (cuBLAS on a GPU, in f16), one JSON line each: what bench/linear.ts is compared with.

matmul_torch.py MxKxN ...
"""
import json
import statistics
import sys
import time

import torch

on_gpu = torch.cuda.is_available()
device, dtype = ("cuda", torch.float16) if on_gpu else ("cpu", torch.float32)


def seconds(product):
    """Of one product, on the GPU's own clock where there is one."""
    if not on_gpu:
        begin = time.perf_counter()
        product()
        return time.perf_counter() - begin
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    product()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000


for case in sys.argv[1:]:
    m, k, n = map(int, case.split("x"))
    x = torch.randn(m, k, device=device, dtype=dtype)
    w = torch.randn(n, k, device=device, dtype=dtype)
    for _ in range(3):
        x @ w.T
    p50 = statistics.median(seconds(lambda: x @ w.T) for _ in range(10))
    found = {"name": "matmul", "case": f"{m} x {k} x {n}", "seconds_p50": p50, "gflops": 2 * m * k * n / p50 / 1e9}
    print(json.dumps(found | {"device": torch.cuda.get_device_name() if on_gpu else "cpu", "torch": torch.__version__}), flush=True)
