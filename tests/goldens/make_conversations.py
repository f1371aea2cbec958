"""Writes conversations, and prompts with completions, as Parquet, by pyarrow: list<struct<...>> and flat columns.

python tests/goldens/make_conversations.py [OUT]     # OUT: tests/goldens/documents by default

What is in them is in conversations.json, as a reader of text sees it: without fields that are null or no text.
"""

import json
import random
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "documents"
FUNCTION = pyarrow.struct([("name", pyarrow.string()), ("arguments", pyarrow.string())])
TURN = pyarrow.struct(
    [
        ("content", pyarrow.string()),
        ("role", pyarrow.string()),
        ("score", pyarrow.int64()),
        ("tool_calls", pyarrow.list_(pyarrow.struct([("type", pyarrow.string()), ("function", FUNCTION)]))),
    ]
)


def make_turn(draw, i, turn):
    role = ["user", "assistant"][turn % 2]
    if role == "assistant" and draw.random() < 0.2:
        calls = [
            {"type": "function", "function": {"name": f"f{k}", "arguments": json.dumps({"n": i})}}
            for k in range(draw.randrange(1, 3))
        ]
        return {"role": role, "content": None, "score": i, "tool_calls": calls}
    return {"role": role, "content": "été 😀 " * draw.randrange(4) + f"{i}.{turn}", "score": None, "tool_calls": None}


def seen(value):
    if isinstance(value, list):
        return [seen(item) for item in value]
    if isinstance(value, dict):
        return {key: seen(item) for key, item in value.items() if item is not None and not isinstance(item, int)}
    return value


def main():
    draw = random.Random(11)
    conversations = [[make_turn(draw, i, turn) for turn in range(draw.randrange(1, 9))] for i in range(120)]
    (OUT / "conversations.json").write_text(json.dumps(seen(conversations), ensure_ascii=False, indent=0) + "\n")
    messages = pyarrow.array(conversations, pyarrow.list_(TURN))
    prompts = [f"{i} " * (i % 7) for i in range(120)]
    columns = {
        "id": range(120),
        "messages": messages,
        "data": [{"turns": turns, "id": i} for i, turns in enumerate(conversations)],
    }
    schema = pyarrow.schema(
        [
            ("id", pyarrow.int64()),
            ("messages", pyarrow.list_(TURN)),
            ("data", pyarrow.struct([("turns", pyarrow.list_(TURN)), ("id", pyarrow.int64())])),
        ]
    )
    table = pyarrow.table(columns, schema)
    small = {"row_group_size": 50, "data_page_size": 256, "write_batch_size": 8, "write_page_checksum": True}
    parquet.write_table(table, OUT / "conversations-v1.parquet", compression="snappy", **small)
    parquet.write_table(
        table.select(["messages"]),
        OUT / "conversations-v2.parquet",
        compression="zstd",
        data_page_version="2.0",
        use_dictionary=False,
        use_compliant_nested_type=False,
        **small,
    )
    pairs = pyarrow.table({"prompt": prompts, "id": range(120), "completion": [f" {i}" for i in range(120)]})
    parquet.write_table(pairs, OUT / "pairs.parquet", compression="gzip", **small)
    empty = pyarrow.array([[], None, conversations[0], [None], [{"role": "user"}]], pyarrow.list_(TURN))
    parquet.write_table(pyarrow.table({"messages": empty}), OUT / "conversations-empty.parquet")


main()
