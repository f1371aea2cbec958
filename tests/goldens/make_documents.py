"""Writes small files of documents with other people's writers: pyarrow, polars, DuckDB, zstd and gzip.

python tests/goldens/make_documents.py [OUT]     # OUT: tests/goldens/documents by default

The texts are in texts.json; every file holds the same ones, in order. Parquet files have them in `text` and, where a
writer can nest, in `meta.story`; nulls.parquet has a null in place of every 7th.
"""

import gzip
import json
import random
import sys
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.parquet as parquet
import zstandard

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "documents"
WORDS = "once upon a time there was été 日本語 😀 who said \"no\", \n and went home".split(" ")


def make_texts():
    draw = random.Random(7)
    texts = [" ".join(draw.choices(WORDS, k=draw.randrange(1, 25))) + f" {i}" for i in range(240)]
    texts[50] = ""
    return texts


def write_parquet(texts):
    meta = [{"story": text, "number": i} for i, text in enumerate(texts)]
    table = pyarrow.table({"number": range(len(texts)), "text": texts, "meta": meta})
    groups = {"row_group_size": 100, "data_page_size": 1024, "write_page_checksum": True}
    for codec in ["snappy", "gzip", "zstd"]:
        parquet.write_table(table, OUT / f"pyarrow-{codec}.parquet", compression=codec, **groups)
    for encoding in ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]:
        parquet.write_table(
            table.select(["text"]),
            OUT / f"pyarrow-{encoding.lower()}.parquet",
            data_page_version="2.0",
            use_dictionary=False,
            column_encoding={"text": encoding},
            **groups,
        )
    nulls = [None if i % 7 == 0 else text for i, text in enumerate(texts)]
    parquet.write_table(pyarrow.table({"text": nulls}), OUT / "nulls.parquet")
    polars.DataFrame({"text": texts}).write_parquet(OUT / "polars.parquet")
    connection = duckdb.connect()
    connection.register("source", pyarrow.table({"text": texts}))
    connection.sql(f"copy (from source) to '{OUT}/duckdb.parquet' (format parquet, parquet_version v2)")


def write_lines(texts):
    lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts]
    content = "".join(lines).encode()
    zstd = lambda level, part: zstandard.ZstdCompressor(level=level, write_checksum=True).compress(part)
    (OUT / "level-3.jsonl.zst").write_bytes(zstd(3, content))
    parts = [content[i : i + 5000] for i in range(0, len(content), 5000)]
    (OUT / "level-19-frames.jsonl.zst").write_bytes(b"".join(zstd(19, part) for part in parts))
    (OUT / "level-6.jsonl.gz").write_bytes(gzip.compress(content, 6, mtime=0))
    (OUT / "blocks.jsonl.gz").write_bytes(b"".join(gzip.compress(part, 9, mtime=0) for part in parts))


def main():
    OUT.mkdir(exist_ok=True)
    texts = make_texts()
    (OUT / "texts.json").write_text(json.dumps(texts))
    write_parquet(texts)
    write_lines(texts)


main()
