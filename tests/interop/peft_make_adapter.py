#!/usr/bin/env python3
"""A LoRA adapter on all linear layers, or on those whose names REGEX matches, made and saved by PEFT, with A and B both random
and non-zero.

peft_make_adapter.py MODEL_DIR OUT_DIR [--rank 8] [--seed 0] [--rslora] [--target REGEX]

lora_alpha is 2 x rank.
"""

import argparse
import os

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def main(options):
    base = AutoModelForCausalLM.from_pretrained(options.model_dir, dtype=torch.float32)
    model = get_peft_model(
        base,
        LoraConfig(
            r=options.rank,
            lora_alpha=2 * options.rank,
            target_modules=options.target,
            use_rslora=options.rslora,
            task_type="CAUSAL_LM",
        ),
    )
    rng = torch.Generator().manual_seed(options.seed)
    with torch.no_grad():
        for parameter in (p for p in model.parameters() if p.requires_grad):
            parameter.normal_(0, 0.05, generator=rng)  # PEFT's own B = 0 would hide a wrong B
    model.save_pretrained(options.out_dir)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model_dir")
    parser.add_argument("out_dir")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rslora", action="store_true")
    parser.add_argument("--target", default="all-linear")
    main(parser.parse_args())
