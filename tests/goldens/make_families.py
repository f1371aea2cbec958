#!/usr/bin/env python3
"""What transformers, PEFT and PyTorch make of small random models of every supported family.

  make_families.py [OUT]     write one folder per family (default: families/ beside this script)

README.md says what each file holds. Everything is computed in float64 (but for what transformers takes in float32)
on one thread and stored as float32.
"""

import argparse
import json
import math
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

ROWS, SEQUENCE, RANK, LORA_ALPHA = 3, 12, 4, 8
SIZES = {"hidden_size": 24, "intermediate_size": 28, "num_hidden_layers": 2, "max_position_embeddings": 64}
TRAINING = {
    "steps": 10,
    "warmup": 2,
    "learning_rate": 3e-3,
    "weight_decay": 0.1,
    "clip": 1.0,
    "alpha": 0.0,
    "temperature": 1.0,
    "divergence": "forward-kl",
    "beta": 0.5,
}


def sizes(heads, kv_heads, vocab, tied, **more):
    heads = {"num_attention_heads": heads, "num_key_value_heads": kv_heads}
    return {**SIZES, **heads, "vocab_size": vocab, "tie_word_embeddings": tied, "eos_token_id": 2, **more}


def rope(theta):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}


# `full`: what differs from TRAINING where every weight is trained; the teacher is the student of another case.
PATTERNS = {
    "rank_pattern": {"q_proj": 2, "layers.1.mlp.down_proj": 6},
    "alpha_pattern": {"v_proj": 3, r"layers\.0\..*\.up_proj": 20},
}
CASES = {
    "llama": {"config": LlamaConfig(**sizes(2, 2, 53, False)), "full": {}},
    "smollm": {
        "config": LlamaConfig(**sizes(6, 2, 53, True, **rope(100000.0))),
        "full": {"teacher": "llama", "divergence": "jsd", "beta": 0.3, "alpha": 0.5, "temperature": 2.0},
    },
    "qwen2": {
        "config": Qwen2Config(**sizes(4, 2, 47, False, **rope(1000000.0))),
        "full": {"teacher": "llama", "divergence": "reverse-kl", "alpha": 0.5, "temperature": 2.0},
    },
    "qwen3": {"config": Qwen3Config(**sizes(4, 2, 50, True, head_dim=10, **rope(1000000.0))), "full": {}},
    "mistral": {"config": MistralConfig(**sizes(4, 2, 50, False, sliding_window=16)), "lora": PATTERNS},
}


# ---- models and adapters


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_student(config, folder, rng):
    """Weights large enough that attention and logits are far from uniform; no bias is 0, no norm all ones."""
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=rng)
            if name.endswith("norm.weight"):
                parameter.copy_(1 + 0.3 * noise)
            elif name.endswith(".bias"):
                parameter.copy_(0.5 * noise)
            else:
                parameter.copy_((0.4 if "layers" not in name else 0.2) * noise)
    model.save_pretrained(folder)


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")


def write_adapter(model, patterns, folder, rng):
    """A PEFT adapter on all seven linears, A and B random, saved by PEFT. Returns the adapted model, in float64."""
    lora = LoraConfig(r=RANK, lora_alpha=LORA_ALPHA, target_modules="all-linear", task_type="CAUSAL_LM", **patterns)
    adapted = get_peft_model(model, lora)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=rng)
                parameter.copy_((noise / math.sqrt(noise.shape[1]) if "lora_A" in name else 0.1 * noise).float())
    adapted.peft_config["default"].base_model_name_or_path = "student"
    adapted.float().save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    write_json(folder / "adapter_config.json", {**config, "target_modules": sorted(config["target_modules"])})
    return adapted.double()


# ---- losses


def batch(vocab, rng):
    """tokens and labels [B, S]: the next token of the row, -100 at its end."""
    tokens = torch.randint(vocab, (ROWS, SEQUENCE), generator=rng)
    return tokens, F.pad(tokens[:, 1:], (0, 1), value=-100)


def divergence(student, teacher, options):
    """tau^2 D(teacher, student) of each token, over the entries that both vocabularies have."""
    shared, tau, beta = min(student.shape[-1], teacher.shape[-1]), options["temperature"], options["beta"]
    p, q = ((z[..., :shared] / tau).log_softmax(-1) for z in (teacher, student))
    kl = lambda a, b: (a.exp() * (a - b)).sum(-1)
    m = torch.logaddexp(p + math.log(beta), q + math.log(1 - beta))
    value = {
        "forward-kl": lambda: kl(p, q),
        "reverse-kl": lambda: kl(q, p),
        "jsd": lambda: beta * kl(p, m) + (1 - beta) * kl(q, m),
    }[options["divergence"]]()
    return tau**2 * value


def losses(logits, teacher_logits, labels, options):
    """Per token, 0 where there is no label: cross-entropy and divergence; and the mean of the joint loss."""
    ce = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
    valid, alpha = labels != -100, options["alpha"]
    apart = divergence(logits, teacher_logits, options) if teacher_logits is not None else torch.zeros_like(ce)
    kl = torch.where(valid, apart, 0.0)
    return ce, kl, (alpha * kl + (1 - alpha) * ce).sum() / valid.sum()


# ---- the two kinds of training


def adapter_answers(adapted, tokens, labels):
    logits = adapted(tokens).logits
    ce, _, loss = losses(logits, None, labels, TRAINING)
    loss.backward()
    return {
        "logits": logits,
        "ce": ce.flatten(),
        **{
            f"grad.{name.removeprefix('base_model.model.').replace('.default', '')}": parameter.grad
            for name, parameter in adapted.named_parameters()
            if parameter.requires_grad
        },
    }


def schedule(step, options):
    rise = min(1.0, (step + 1) / options["warmup"])
    return options["learning_rate"] * rise * 0.5 * (1 + math.cos(math.pi * step / options["steps"]))


def full_answers(model, teacher_logits, tokens, labels, options):
    """Gradients of all weights, then AdamW on the same batch; norms and biases are not decayed."""
    parameters = dict(model.named_parameters())
    decayed = [w for w in parameters.values() if w.dim() > 1]
    others = [w for w in parameters.values() if w.dim() == 1]
    groups = [{"params": decayed, "weight_decay": options["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8)
    answers, step_losses, norms = {}, [], []
    for step in range(options["steps"]):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step, options)
        optimizer.zero_grad()
        ce, kl, loss = losses(model(tokens).logits, teacher_logits, labels, options)
        loss.backward()
        if step == 0:
            answers = {"ce": ce.flatten(), "kl": kl.flatten()}
            answers |= {f"grad.{name}": w.grad.clone() for name, w in parameters.items()}
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), options["clip"]))
        optimizer.step()
        step_losses.append(loss.detach())
    return {**answers, "step.loss": torch.stack(step_losses), "step.grad_norm": torch.stack(norms)}


# ---- the program


def write_answers(path, answers, tokens, labels):
    tensors = {name: x.detach().float().contiguous() for name, x in answers.items()}
    positions = torch.arange(SEQUENCE).repeat(ROWS, 1)
    inputs = {"tokens": tokens, "labels": labels, "positions": positions}
    save_file(tensors | {name: x.int() for name, x in inputs.items()}, path)


def make(name, case, out, seed):
    folder, rng = out / name, torch.Generator().manual_seed(seed)
    write_student(case["config"], folder / "student", rng)
    tokens, labels = batch(case["config"].vocab_size, rng)
    adapted = write_adapter(load(folder / "student"), case.get("lora", {}), folder / "adapter", rng)
    answers = adapter_answers(adapted, tokens, labels)
    write_answers(folder / "expected.safetensors", answers, tokens, labels)
    print(f"{name}: ce with the adapter {answers['ce'].sum() / (labels != -100).sum():.4f}")
    if "full" not in case:
        return
    options = {**TRAINING, **case["full"]}
    teacher_logits = None
    if "teacher" in options:
        with torch.no_grad():
            teacher_logits = load(out / options["teacher"] / "student")(tokens).logits
    answers = full_answers(load(folder / "student"), teacher_logits, tokens, labels, options)
    write_json(folder / "full.json", options)
    write_answers(folder / "full.safetensors", answers, tokens, labels)
    first, last = answers["step.loss"][0], answers["step.loss"][-1]
    print(f"{name}: full training {first:.4f} to {last:.4f}, gradient norm {answers['step.grad_norm'][0]:.2f}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", nargs="?", type=Path, default=Path(__file__).parent / "families")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    for seed, (name, case) in enumerate(CASES.items()):
        make(name, case, out, seed)


if __name__ == "__main__":
    main()
