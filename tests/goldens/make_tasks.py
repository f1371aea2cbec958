"""Writes tasks/*.parquet: made-up items in the columns of the data sets that lm_eval reads from the Hugging Face Hub.

python tests/goldens/make_tasks.py [OUT]    # OUT: tests/goldens/tasks by default
"""

import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "tasks")

texts = pa.list_(pa.string())

TABLES = {
    # allenai/ai2_arc, ARC-Challenge
    "arc": (
        {
            "id": pa.string(),
            "question": pa.string(),
            "choices": pa.struct([("text", texts), ("label", texts)]),
            "answerKey": pa.string(),
        },
        [
            {"id": "a", "question": "the cat?", "choices": {"text": ["sat", "ran", "a tree"], "label": ["A", "B", "C"]}, "answerKey": "B"},
            {"id": "b", "question": "the red dog?", "choices": {"text": ["on", "the", "mat", "and"], "label": ["1", "2", "3", "4"]}, "answerKey": "4"},
        ],
    ),
    # Rowan/hellaswag
    "hellaswag": (
        {
            "ind": pa.int32(),
            "activity_label": pa.string(),
            "ctx_a": pa.string(),
            "ctx_b": pa.string(),
            "ctx": pa.string(),
            "endings": texts,
            "source_id": pa.string(),
            "split": pa.string(),
            "split_type": pa.string(),
            "label": pa.string(),
        },
        [
            {
                "ind": i,
                "activity_label": "Tree",
                "ctx_a": a,
                "ctx_b": b,
                "ctx": f"{a} {b}",
                "endings": ends,
                "source_id": "",
                "split": "val",
                "split_type": "indomain",
                "label": label,
            }
            for i, (a, b, ends, label) in enumerate(
                [
                    ("the cat [title] sat.", "the DOG", ["ran.", "[step] sat  on   a mat."], "1"),
                    ("a house.", "", ["and", "the", "red", "tree"], "0"),
                    ("a mat.", "it", ["is red", "[header]is a tree"], "0"),
                ]
            )
        ],
    ),
    # cais/mmlu, a subject
    "mmlu": (
        {"question": pa.string(), "subject": pa.string(), "choices": texts, "answer": pa.int64()},
        [
            {"question": " the cat ", "subject": "virology", "choices": ["sat", " ran", "", "tree"], "answer": 2},
            {"question": "a\nmat", "subject": "virology", "choices": ["1", "2", "3", "4"], "answer": 0},
        ],
    ),
    # truthfulqa/truthful_qa, multiple_choice
    "truthfulqa": (
        {
            "question": pa.string(),
            "mc1_targets": pa.struct([("choices", texts), ("labels", pa.list_(pa.int32()))]),
            "mc2_targets": pa.struct([("choices", texts), ("labels", pa.list_(pa.int32()))]),
        },
        [
            {
                "question": "the cat?",
                "mc1_targets": {"choices": ["sat", "ran"], "labels": [1, 0]},
                "mc2_targets": {"choices": ["sat", "sat on a mat", "ran", "a dog"], "labels": [1, 1, 0, 0]},
            }
        ],
    ),
    # allenai/winogrande, winogrande_xl
    "winogrande": (
        {name: pa.string() for name in ("sentence", "option1", "option2", "answer")},
        [
            {"sentence": "the cat and the dog: _ sat on the mat.", "option1": "cat", "option2": "dog", "answer": "1"},
            {"sentence": "_ ran to a tree. ", "option1": "a dog", "option2": "a house", "answer": "2"},
            {"sentence": "the house is red and the _.", "option1": "tree", "option2": "mat", "answer": "1"},
        ],
    ),
    # openai/gsm8k, main
    "gsm8k": (
        {"question": pa.string(), "answer": pa.string()},
        [
            {"question": "the cats?", "answer": "1 + 1 = <<1+1=2>>2\n#### 2"},
            {"question": "the dogs?", "answer": "a dog\n#### 1,000"},
        ],
    ),
}

OUT.mkdir(exist_ok=True)
for name, (columns, rows) in TABLES.items():
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(list(columns.items()))), OUT / f"{name}.parquet")
