#!/usr/bin/env python3
"""Merges an adapter into a model with PEFT's merge_and_unload, and saves it.

  peft_merge.py MODEL_DIR OUT_DIR ADAPTER_DIR

The model keeps the type of its files. Prints the type.
"""

import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

from peft import PeftModel
from transformers import AutoModelForCausalLM


def main(model_dir, out_dir, adapter_dir):
    base = AutoModelForCausalLM.from_pretrained(model_dir, dtype="auto")
    merged = PeftModel.from_pretrained(base, adapter_dir).merge_and_unload()
    merged.save_pretrained(out_dir)
    print(merged.dtype)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: peft_merge.py MODEL_DIR OUT_DIR ADAPTER_DIR")
    main(*sys.argv[1:])
