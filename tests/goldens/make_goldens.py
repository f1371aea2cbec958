#!/usr/bin/env python3
"""PyTorch's answers for small random Llama pairs: forward, losses, LoRA gradients and twenty optimizer steps.

  make_goldens.py [OUT]     write one folder per case (default: beside this script)

README.md says what each file holds. Everything is computed in float64 on one thread and stored as float32.
"""

import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

LINEARS = [f"self_attn.{n}_proj" for n in "qkvo"] + [f"mlp.{n}_proj" for n in ("gate", "up", "down")]
STEPS, WARMUP, LEARNING_RATE, CLIP, ALPHA, RANK, LORA_ALPHA = 20, 4, 1e-2, 1.0, 0.5, 4, 8
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,  # wavelengths up to 8 stay, up to 32 blend, above are stretched
}


def config(hidden, intermediate, layers, heads, kv_heads, vocab, tied=False, **more):
    """A config.json, with the older `rope_theta` and `rope_scaling` unless `more` has `rope_parameters`."""
    rope = {} if "rope_parameters" in more else {"rope_theta": 10000.0}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": tied,
        "bos_token_id": 1,
        "eos_token_id": 2,
        **rope,
        **more,
    }


# `documents`: the lengths of the documents packed into each row.
PLAIN = {"student_dtype": torch.float32, "teacher_dtype": torch.float32, "shards": 1}
CASES = {
    "mha-tied": {
        "student": config(16, 40, 2, 2, 2, 96, tied=True, rms_norm_eps=1e-2),
        "teacher": config(32, 64, 2, 4, 4, 96, tied=True, rms_norm_eps=1e-2),
        "documents": [[24], [9, 15], [1, 5, 18], [7, 7, 7, 3]],
        "temperature": 1.0,
        "weight_decay": 0.0,
        "rslora": False,
        **PLAIN,
    },
    "gqa-llama3-rope": {
        "student": config(24, 56, 2, 4, 2, 131, head_dim=16, rope_theta=100.0, rope_scaling=LLAMA3_ROPE),
        "teacher": config(
            40, 60, 2, 4, 2, 131, head_dim=12, rope_parameters={"rope_theta": 50.0, **LLAMA3_ROPE}
        ),
        "documents": [[37], [33, 4], [2, 12, 23]],
        "temperature": 2.0,
        "weight_decay": 0.01,
        "rslora": True,
        **PLAIN,
    },
    "odd-padded-vocab": {
        "student": config(24, 44, 3, 3, 1, 211),
        "teacher": config(20, 36, 2, 2, 2, 224),
        "documents": [[29], [13, 16], [3, 1, 25]],
        "temperature": 2.0,
        "weight_decay": 0.0,
        "rslora": False,
        **PLAIN,
    },
    "bf16-sharded": {
        "student": config(32, 48, 2, 4, 2, 128, torch_dtype="bfloat16"),
        "teacher": config(48, 64, 2, 6, 3, 128, tied=True, torch_dtype="float16"),
        "documents": [[20], [11, 9], [6, 14]],
        "temperature": 1.0,
        "weight_decay": 0.0,
        "rslora": False,
        "student_dtype": torch.bfloat16,
        "teacher_dtype": torch.float16,
        "shards": 2,
    },
}


# ---- writing models, adapters and batches


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def head_dim(c):
    return c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]


def linear_shapes(c):
    """[out, in] of each LoRA target of one layer."""
    d, m = c["hidden_size"], c["intermediate_size"]
    q, kv = c["num_attention_heads"] * head_dim(c), c["num_key_value_heads"] * head_dim(c)
    return dict(zip(LINEARS, [(q, d), (kv, d), (kv, d), (d, q), (m, d), (m, d), (d, m)]))


def random_weights(c, dtype, rng):
    """Weights large enough that attention and logits are far from uniform."""
    normal = lambda *shape: torch.randn(*shape, generator=rng)
    d, v = c["hidden_size"], c["vocab_size"]
    weights = {"model.embed_tokens.weight": 0.4 * normal(v, d), "model.norm.weight": 1 + 0.2 * normal(d)}
    if not c["tie_word_embeddings"]:
        weights["lm_head.weight"] = 0.4 * normal(v, d)
    for layer in range(c["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name, shape in linear_shapes(c).items():
            weights[f"{prefix}{name}.weight"] = 0.2 * normal(*shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{prefix}{name}.weight"] = 1 + 0.2 * normal(d)
    return {name: w.to(dtype) for name, w in weights.items()}


def write_model(folder, c, weights, shards):
    """A Hugging Face folder; with `shards` > 1, weights go round-robin into files behind an index."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", c)
    if shards == 1:
        return save_file(weights, folder / "model.safetensors", {"format": "pt"})
    files = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    where = {name: files[i % shards] for i, name in enumerate(sorted(weights))}
    for file in files:
        save_file({n: w for n, w in weights.items() if where[n] == file}, folder / file, {"format": "pt"})
    total = sum(w.numel() * w.element_size() for w in weights.values())
    index = {"metadata": {"total_size": total}, "weight_map": where}
    write_json(folder / "model.safetensors.index.json", index)


def random_adapter(c, rng):
    """A [rank, in] and B [out, rank] of every linear layer, both non-zero."""
    adapter = {}
    for layer in range(c["num_hidden_layers"]):
        for name, (out, inner) in linear_shapes(c).items():
            prefix = f"model.layers.{layer}.{name}"
            adapter[f"{prefix}.lora_A.weight"] = torch.randn(RANK, inner, generator=rng) / math.sqrt(inner)
            adapter[f"{prefix}.lora_B.weight"] = 0.1 * torch.randn(out, RANK, generator=rng)
    return adapter


def write_adapter(folder, adapter, rslora):
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"base_model.model.{n}": w for n, w in adapter.items()}
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    write_json(
        folder / "adapter_config.json",
        {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": "student",
            "r": RANK,
            "lora_alpha": LORA_ALPHA,
            "lora_dropout": 0.0,
            "target_modules": [name.split(".")[1] for name in LINEARS],
            "bias": "none",
            "use_rslora": rslora,
            "init_lora_weights": True,
        },
    )


def packed_batch(documents, vocab, rng):
    """tokens, labels, positions [B, S]. Labels are the document's own next tokens, one in ten masked."""
    tokens, labels, positions = [], [], []
    for lengths in documents:
        ids = [torch.randint(vocab, (n + 1,), generator=rng) for n in lengths]
        tokens.append(torch.cat([d[:-1] for d in ids]))
        labels.append(torch.cat([d[1:] for d in ids]))
        positions.append(torch.cat([torch.arange(n) for n in lengths]))
    tokens, labels, positions = torch.stack(tokens), torch.stack(labels), torch.stack(positions)
    return tokens, labels.masked_fill(torch.rand(labels.shape, generator=rng) < 0.1, -100), positions


# ---- the reference model


def inverse_frequencies(c, dtype):
    rope = c.get("rope_parameters") or {"rope_theta": c["rope_theta"], **(c.get("rope_scaling") or {})}
    frequencies = rope["rope_theta"] ** (-torch.arange(0, head_dim(c), 2, dtype=dtype) / head_dim(c))
    if rope.get("rope_type") != "llama3":
        return frequencies
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)
    keep = ((turns - low) / (high - low)).clamp(0, 1)  # 1: unchanged, 0: stretched by `factor`
    return frequencies * (keep + (1 - keep) / rope["factor"])


def rotate(x, angles):
    """Rotate-half RoPE: x [B, H, S, D], angles [B, 1, S, D / 2]."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)


def logits_of(c, weights, tokens, positions, adapter=None, scale=1.0):
    """[B, S, V]; each token attends to its own document: those of its row from t - positions[t] to t."""
    batch, length = tokens.shape
    heads, kv_heads, width = c["num_attention_heads"], c["num_key_value_heads"], head_dim(c)
    step = torch.arange(length)
    visible = (step[None, :] <= step[:, None]) & (step[None, None, :] >= (step - positions)[:, :, None])
    angles = (positions[..., None] * inverse_frequencies(c, next(iter(weights.values())).dtype))[:, None]

    def norm(x, name):
        mean_square = x.square().mean(-1, keepdim=True)
        return x * torch.rsqrt(mean_square + c["rms_norm_eps"]) * weights[f"{name}.weight"]

    def linear(x, name):
        y = x @ weights[f"{name}.weight"].T
        if adapter is None:
            return y
        return y + scale * (x @ adapter[f"{name}.lora_A.weight"].T) @ adapter[f"{name}.lora_B.weight"].T

    def split(x, count):  # [B, S, count x D] to [B, heads, S, D]
        return x.view(batch, length, count, width).transpose(1, 2).repeat_interleave(heads // count, 1)

    def attention(h, prefix):
        q = rotate(split(linear(h, f"{prefix}.q_proj"), heads), angles)
        k = rotate(split(linear(h, f"{prefix}.k_proj"), kv_heads), angles)
        v = split(linear(h, f"{prefix}.v_proj"), kv_heads)
        scores = q @ k.transpose(-1, -2) / math.sqrt(width)
        mixed = scores.masked_fill(~visible[:, None], -math.inf).softmax(-1) @ v
        return linear(mixed.transpose(1, 2).flatten(2), f"{prefix}.o_proj")

    x = weights["model.embed_tokens.weight"][tokens]
    for layer in range(c["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        x = x + attention(norm(x, f"{prefix}.input_layernorm"), f"{prefix}.self_attn")
        h = norm(x, f"{prefix}.post_attention_layernorm")
        gated = F.silu(linear(h, f"{prefix}.mlp.gate_proj")) * linear(h, f"{prefix}.mlp.up_proj")
        x = x + linear(gated, f"{prefix}.mlp.down_proj")
    head = "model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"
    return norm(x, "model.norm") @ weights[head].T


# ---- losses and training


def token_losses(student, teacher, labels, temperature):
    """Cross-entropy and tau^2 KL(teacher || student) of each token [B, S], 0 where the label is -100."""
    valid = labels != -100
    ce = F.cross_entropy(student.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
    shared = min(student.shape[-1], teacher.shape[-1])
    p, q = ((z[..., :shared] / temperature).log_softmax(-1) for z in (teacher, student))
    return ce, torch.where(valid, temperature**2 * (p.exp() * (p - q)).sum(-1), 0.0)


def mean_losses(ce, kl, labels):
    """Means over the valid labels of the whole batch: cross-entropy, KL and the joint loss."""
    count = (labels != -100).sum()
    ce, kl = ce.sum() / count, kl.sum() / count
    return ce, kl, ALPHA * kl + (1 - ALPHA) * ce


def schedule(step):
    """Factor on the learning rate of step 0, 1, ...: linear warm-up times cosine to zero."""
    return min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * step / STEPS))


def train(adapter, loss_of, weight_decay):
    """STEPS steps of AdamW on one batch, in place: each step's loss and gradient norm before clipping."""
    parameters = list(adapter.values())
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay)
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * schedule(step)
        optimizer.zero_grad()
        loss = loss_of(adapter)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, CLIP))
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses), torch.stack(norms)


def expected(case, student, teacher, adapter, batch, dtype):
    """All the answers of one case, computed in `dtype`."""
    tokens, labels, positions = batch
    student, teacher = ({n: w.to(dtype) for n, w in m.items()} for m in (student, teacher))
    adapter = {n: w.to(dtype).requires_grad_() for n, w in adapter.items()}
    teacher_logits = logits_of(case["teacher"], teacher, tokens, positions)

    def evaluate(lora):
        logits = logits_of(case["student"], student, tokens, positions, lora, lora_scale(case))
        return logits, *token_losses(logits, teacher_logits, labels, case["temperature"])

    logits, ce, kl = evaluate(adapter)
    means = torch.stack(mean_losses(ce, kl, labels))
    gradients = torch.autograd.grad(means[2], list(adapter.values()))
    losses, norms = train(adapter, lambda a: mean_losses(*evaluate(a)[1:], labels)[2], case["weight_decay"])
    return {
        "logits": logits.detach(),
        "ce": ce.detach().flatten(),
        "kl": kl.detach().flatten(),
        "mean": means.detach(),
        "step.loss": losses,
        "step.grad_norm": norms,
        **{f"grad.{n}": g for n, g in zip(adapter, gradients)},
        **{f"final.{n}": w.detach() for n, w in adapter.items()},
    }


def lora_scale(case):
    return LORA_ALPHA / (math.sqrt(RANK) if case["rslora"] else RANK)


# ---- the program


def make(name, case, folder, seed):
    rng = torch.Generator().manual_seed(seed)
    student = random_weights(case["student"], case["student_dtype"], rng)
    teacher = random_weights(case["teacher"], case["teacher_dtype"], rng)
    adapter = random_adapter(case["student"], rng)
    batch = packed_batch(case["documents"], case["student"]["vocab_size"], rng)
    write_model(folder / "student", case["student"], student, case["shards"])
    write_model(folder / "teacher", case["teacher"], teacher, case["shards"])
    write_adapter(folder / "adapter", adapter, case["rslora"])
    write_json(
        folder / "case.json",
        {
            "alpha": ALPHA,
            "temperature": case["temperature"],
            "steps": STEPS,
            "warmup": WARMUP,
            "learning_rate": LEARNING_RATE,
            "weight_decay": case["weight_decay"],
            "clip": CLIP,
        },
    )
    problem = case, student, teacher, adapter, batch
    answers = expected(*problem, torch.float64)
    tensors = {n: x.float() for n, x in answers.items()}
    tensors |= {n: x.int() for n, x in zip(("tokens", "labels", "positions"), batch)}
    save_file(tensors, folder / "expected.safetensors")
    report_float32(name, answers, expected(*problem, torch.float32))


def report_float32(name, answers, single):
    """How far PyTorch's own float32 run is from the float64 answers: what a tolerance must leave room for."""
    absolute = lambda n: (answers[n] - single[n]).abs().max().item()
    relative = lambda n: ((answers[n] - single[n]).norm() / answers[n].norm()).item()
    apart = {n: absolute(n) for n in ("logits", "ce", "kl", "step.loss")}
    for kind in ("grad", "final"):
        apart[kind] = max(relative(n) for n in answers if n.startswith(kind))
    ce, kl, loss = answers["mean"].tolist()
    norms = answers["step.grad_norm"].tolist()
    print(
        f"{name}: ce {ce:.4f}, kl {kl:.4f}, loss {loss:.4f} to {answers['step.loss'][-1]:.4f},"
        f" gradient norm {max(norms):.2f} to {min(norms):.2f}; float32 is off by: "
        + ", ".join(f"{what} {d:.1e}" for what, d in apart.items())
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", nargs="?", type=Path, default=Path(__file__).parent)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    for seed, (name, case) in enumerate(CASES.items()):
        make(name, case, out / name, seed)


if __name__ == "__main__":
    main()
