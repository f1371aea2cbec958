"""Seconds that lm_eval takes for arc_challenge or mmlu in float32 on the CPU, on local files in the layout of `evaluate --task-data`.

    python bench/tasks_lm_eval.py MODEL DATA TASK LIMIT BATCH [THREADS]

Prints one line of JSON: seconds of the whole evaluation without loading the model, and the accuracies. The examples shown
before an item, 25 of ARC-Challenge-Dev and the first 5 of a subject's dev file, are those that `evaluate` shows.
"""

import json
import sys
import time
from pathlib import Path

import torch
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM


def arc(data):
    files = {"train": f"{data}/arc/ARC-Challenge-Dev.jsonl", "test": f"{data}/arc/ARC-Challenge-Test.jsonl"}
    yield {
        "task": "arc_local",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files},
        "training_split": "train",
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "Question: {{question.stem}}\nAnswer:",
        "doc_to_choice": "{{question.choices | map(attribute='text') | list}}",
        "doc_to_target": "{{(question.choices | map(attribute='label') | list).index(answerKey)}}",
        "num_fewshot": 25,
        "metric_list": [{"metric": name, "aggregation": "mean"} for name in ("acc", "acc_norm")],
    }


def mmlu(data):
    for test in sorted(Path(data, "mmlu", "test").iterdir()):
        subject = test.name.removesuffix("_test.csv")
        files = {"dev": f"{data}/mmlu/dev/{subject}_dev.csv", "test": str(test)}
        title = subject.replace("_", " ")
        letters = "".join(f"\n{letter}. {{{{choice{i}}}}}" for i, letter in enumerate("ABCD"))
        yield {
            "task": f"mmlu_local_{subject}",
            "dataset_path": "csv",
            "dataset_kwargs": {"data_files": files},
            "test_split": "test",
            "fewshot_split": "dev",
            "fewshot_config": {"sampler": "first_n"},
            "output_type": "multiple_choice",
            "description": f"The following are multiple choice questions (with answers) about {title}.\n\n",
            "doc_to_text": "{{question.strip()}}" + letters + "\nAnswer:",
            "doc_to_choice": ["A", "B", "C", "D"],
            "doc_to_target": "answer",
            "num_fewshot": 5,
            "metric_list": [{"metric": "acc", "aggregation": "mean"}],
        }


def main():
    model, data, task, limit, batch, *threads = sys.argv[1:]
    torch.set_num_threads(int(threads[0]) if threads else 2)
    lm = HFLM(pretrained=model, dtype="float32", device="cpu", batch_size=int(batch))
    begin = time.perf_counter()
    found = simple_evaluate(
        lm, tasks=list({"arc_challenge": arc, "mmlu": mmlu}[task](data)), limit=int(limit), bootstrap_iters=0
    )
    seconds = time.perf_counter() - begin
    scores = {name: result.get("acc,none") for name, result in found["results"].items()}
    print(json.dumps({"seconds": round(seconds, 2), "acc": scores}))


if __name__ == "__main__":
    main()
