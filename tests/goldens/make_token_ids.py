"""Writes Parquet files of token ids with pyarrow, in the columns of princeton-nlp/QuRatedPajama-260B.

python tests/goldens/make_token_ids.py [OUT]     # OUT: tests/goldens/documents by default

Every row is a chunk of 1,024 ids of a tokenizer in Llama 2's form: 1 is BOS, 3 + b stands for the byte b. The texts that they
stand for are in token-ids.json; a decoder of that form takes off one space at the start. All is made up.
"""

import json
import random
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "documents"
WORDS = "once upon a time there was a cat who said \"no\", \n and went home".split(" ")
CHUNK, ROWS = 1024, 12
RATINGS = ["writing_style", "required_expertise", "facts_and_trivia", "educational_value"]


def make_rows():
    draw = random.Random(11)
    rows = []
    for i in range(ROWS):
        # The first chunk of a document begins with BOS, the others go on amid it.
        size = CHUNK - (i % 3 == 0)
        text = " ".join(draw.choices(WORDS, k=400))[:size]
        ids = ([1] if i % 3 == 0 else []) + [3 + byte for byte in text.encode()]
        assert len(ids) == CHUNK
        rows.append((text.removeprefix(" "), ids))
    return rows


def table_of(rows, ids_type):
    columns = {
        "text": [text for text, _ in rows],
        "input_ids": pyarrow.array([ids for _, ids in rows], ids_type),
        "source_domain": ["RedPajamaC4"] * len(rows),
        "length": [CHUNK] * len(rows),
    }
    for rating in RATINGS:
        columns[f"{rating}_average"] = [0.25 * i for i in range(len(rows))]
        columns[f"{rating}_chunks"] = [[0.25 * i, 0.5] for i in range(len(rows))]
    return pyarrow.table(columns)


def main():
    OUT.mkdir(exist_ok=True)
    rows = make_rows()
    (OUT / "token-ids.json").write_text(json.dumps([text for text, _ in rows]))
    groups = {"row_group_size": 5, "data_page_size": 1024}
    parquet.write_table(table_of(rows, pyarrow.list_(pyarrow.int32())), OUT / "token-ids.parquet", **groups)
    # Without the text, in the other forms that a list of ids has.
    alone = {
        "plain": (pyarrow.large_list(pyarrow.int64()), {"use_dictionary": False, "compression": "zstd"}),
        "delta": (
            pyarrow.list_(pyarrow.field("item", pyarrow.int64(), nullable=False)),
            {
                "use_dictionary": False,
                "column_encoding": {"input_ids.list.element": "DELTA_BINARY_PACKED"},
                "data_page_version": "2.0",
            },
        ),
        "small": (pyarrow.list_(pyarrow.uint16()), {"compression": "none", "use_compliant_nested_type": False}),
    }
    for name, (ids_type, options) in alone.items():
        table = table_of(rows, ids_type).select(["input_ids", "length"])
        parquet.write_table(table, OUT / f"token-ids-{name}.parquet", **groups, **options)
    lists = [[4, 5], None, [], [6, None], [7]]
    nulls = pyarrow.table({"input_ids": pyarrow.array(lists, pyarrow.list_(pyarrow.int32()))})
    parquet.write_table(nulls, OUT / "token-ids-nulls.parquet")


main()
