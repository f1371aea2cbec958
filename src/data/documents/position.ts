import { z } from 'zod';

/** Where reading has to start to reach a document: of compressed content a frame or member, of Parquet a page. */
export interface Restart {
  /** Its first byte in the file. */
  readonly at: number;
  /** What of the file's content precedes it: bytes of compressed content, rows of Parquet. */
  readonly before: number;
}

/** Where a document starts in its file. */
export interface Position {
  /** Documents before it; of Parquet, rows. */
  readonly index: number;
  /** In the content, which of a compressed file is what it decompresses to; 0 in Parquet. */
  readonly byteOffset: number;
  /** From 1; 0 in Parquet. */
  readonly line: number;
  /** Documents before it in its record; absent where a record is a single one. */
  readonly part?: number | undefined;
  /** Absent where reading can start at the document itself. */
  readonly restart?: Restart | undefined;
}

export const FILE_START: Position = { index: 0, byteOffset: 0, line: 1 };

/** As many are told apart in a place. */
export const FEW_FILES = 16;

const natural = z.int().min(0);
const hash = z.string().max(100);

export const placeSchema = z.strictObject({
  /** What identifies the content of all files, in order; of many files one digest of that. */
  files: z.array(hash).max(FEW_FILES),
  sources: z.array(
    z.strictObject({
      /** Times that all of the source has been read before. */
      pass: natural,
      /** Number of the file in the source, and what identifies its content. */
      file: natural,
      content: hash,
      /** Of the document to read next; null at the start of the file. */
      at: z
        .strictObject({
          index: natural,
          byteOffset: natural,
          line: natural,
          part: natural.optional(),
          restart: z.strictObject({ at: natural, before: natural }).optional(),
        })
        .nullable(),
    }),
  ),
  /** UTF-8 bytes of text taken from each source so far: what weights are held to. */
  taken: z.array(natural),
});

/** Where a document starts among all sources; plain JSON, so that a checkpoint can hold it. */
export type Place = Readonly<z.infer<typeof placeSchema>>;

/** Whether a value from a checkpoint is a place. */
export const isPlace = (value: unknown): value is Place => placeSchema.safeParse(value).success;
