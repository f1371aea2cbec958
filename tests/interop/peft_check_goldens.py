#!/usr/bin/env python3
"""Holds the goldens to transformers + peft, which run each packed document alone, in float64.

  peft_check_goldens.py

Prints, for each case, the largest difference of logits and losses and the largest relative one of the LoRA
gradients (Frobenius norms). Exits 1 where one is above TOLERANCE: transformers takes RoPE's cosines and the
RMSNorm in float32, so the two agree to float32's precision, not float64's.
"""

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
GOLDENS = Path(__file__).resolve().parent.parent / "goldens"
sys.path.insert(0, str(GOLDENS))

import torch
from make_goldens import CASES, mean_losses, token_losses
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

TOLERANCE = 1e-5


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")


def run_documents(model, tokens, documents):
    """Logits [B, S, V] of packed rows, each document on its own."""
    rows = [torch.cat([model(d[None]).logits[0] for d in row.split(n)]) for row, n in zip(tokens, documents)]
    return torch.stack(rows)


def differences(case, folder):
    want = load_file(folder / "expected.safetensors")
    tokens, labels = want["tokens"].long(), want["labels"].long()
    student = PeftModel.from_pretrained(
        load(folder / "student"), folder / "adapter", is_trainable=True
    ).double()
    with torch.no_grad():
        teacher_logits = run_documents(load(folder / "teacher"), tokens, case["documents"])
    logits = run_documents(student, tokens, case["documents"])
    ce, kl = token_losses(logits, teacher_logits, labels, case["temperature"])
    mean_losses(ce, kl, labels)[2].backward()

    apart = {"logits": logits, "ce": ce.flatten(), "kl": kl.flatten()}
    apart = {name: (got - want[name]).abs().max().item() for name, got in apart.items()}
    gradients = {
        f"grad.{name.removeprefix('base_model.model.').replace('.default', '')}": p.grad
        for name, p in student.named_parameters()
        if p.requires_grad
    }
    assert gradients.keys() == {name for name in want if name.startswith("grad.")}
    relative = [(g - want[name]).norm() / want[name].norm() for name, g in gradients.items()]
    return {**apart, "gradients": torch.stack(relative).max().item()}


def main():
    failed = []
    for name, case in CASES.items():
        apart = differences(case, GOLDENS / name)
        print(f"{name}: " + ", ".join(f"{what} {d:.1e}" for what, d in apart.items()))
        failed += [f"{name} {what}" for what, d in apart.items() if not d <= TOLERANCE]
    if failed:
        sys.exit(f"expected differences of at most {TOLERANCE}, found larger ones in: {', '.join(failed)}")


if __name__ == "__main__":
    main()
