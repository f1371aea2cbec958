#!/usr/bin/env python3
"""Logits of a base model with an adapter (`none` for none), from transformers + peft.

  peft_logits.py MODEL_DIR ADAPTER_DIR IDS_JSON OUT

Exits 1 where the model's folder lacks a tensor or has one too many: transformers itself would only warn.
IDS_JSON holds rows of token ids, [[1, 5, ...], ...], which may differ in length and run one by one. OUT gets
the logits [tokens of all rows, vocabulary], float32 little-endian; their shape is printed as JSON.
"""

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM


def main(model_dir, adapter_dir, ids_json, out):
    base, loading = AutoModelForCausalLM.from_pretrained(
        model_dir, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    wrong = {what: sorted(map(str, names)) for what, names in loading.items() if names}
    if wrong:
        sys.exit(f"{model_dir}: expected exactly the model's tensors, found {wrong}")
    model = (base if adapter_dir == "none" else PeftModel.from_pretrained(base, adapter_dir)).eval()
    rows = json.loads(Path(ids_json).read_text())
    with torch.no_grad():
        logits = torch.cat([model(torch.tensor([row])).logits[0] for row in rows])
    Path(out).write_bytes(logits.numpy().astype("<f4").tobytes())
    print(json.dumps({"shape": list(logits.shape)}))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: peft_logits.py MODEL_DIR ADAPTER_DIR IDS_JSON OUT")
    main(*sys.argv[1:])
