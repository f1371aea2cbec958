#!/usr/bin/env python3
"""f16 matmul in PyTorch at the shapes of the llama step, one JSON line each: what bench/linear.ts is compared with."""
import json
import torch

TOKENS = 8192
SHAPES = [(512, 512, 512), (2048, 288, 32000), (TOKENS, 2048, 8192), (TOKENS, 8192, 2048), (TOKENS, 2048, 2048), (TOKENS, 2048, 8), (TOKENS, 8, 2048), (TOKENS, 4096, 14336), (2048, 2048, 128256)]
for m, k, n in SHAPES:
    x = torch.randn(m, k, device="cuda", dtype=torch.float16)
    w = torch.randn(n, k, device="cuda", dtype=torch.float16)
    for _ in range(3):
        x @ w.T
    torch.cuda.synchronize()
    times = []
    for _ in range(10):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        x @ w.T
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    p50 = sorted(times)[len(times) // 2]
    print(json.dumps({"name": "matmul", "case": f"{m} x {k} x {n}", "seconds_p50": p50, "gflops": round(2 * m * k * n / p50 / 1e9)}))
