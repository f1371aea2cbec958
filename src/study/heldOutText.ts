import { createHash } from 'node:crypto';
import { NO_LABEL, type Row } from '../data/packing.js';
import { sharedTokenizer } from '../data/tokenizer/shared.js';
import { evaluationWindows } from '../evaluation/heldOut.js';
import { predictedBytes } from '../evaluation/textBytes.js';
import { asBytes } from '../formats/tensors/floats.js';
import { textOptions } from '../prepare/locateText.js';
import type { Preparation } from '../prepare/prepare.js';

/** A held-out text as rows of windows, and what a predicted token of it comes to. */
export interface HeldOutText {
  readonly rows: readonly Row[];
  /** UTF-8 bytes. */
  readonly bytesPerToken: number;
}

/** The held-out texts of runs, each read once. */
export class HeldOutTexts {
  readonly #known = new Map<string, Promise<HeldOutText>>();

  /** Undefined where a run holds nothing out. */
  async of({ options, models, text, encoding }: Preparation): Promise<HeldOutText | undefined> {
    if (options.evalData === undefined && options.evalFraction === 0) return undefined;
    const setting = {
      tokenizer: models.student,
      text: textOptions(options, text.evalData ?? text.data, text.idsTokenizer),
      evalFraction: options.evalData === undefined ? options.evalFraction : 0,
      encoding,
      sequence: options.sequence,
      tokens: options.evalTokens,
    };
    const key = JSON.stringify(setting);
    const found = this.#known.get(key) ?? read(setting);
    this.#known.set(key, found);
    return found;
  }
}

async function read(setting: Parameters<typeof evaluationWindows>[0]): Promise<HeldOutText> {
  const rows = await evaluationWindows(setting);
  const tokenizer = await sharedTokenizer(setting.tokenizer);
  const sum = (count: (row: Row) => number) => rows.reduce((total, row) => total + count(row), 0);
  const bytes = sum((row) => predictedBytes(tokenizer, row));
  const tokens = sum(({ labels }) => labels.filter((label) => label !== NO_LABEL).length);
  return { rows, bytesPerToken: bytes / tokens };
}

/** What tells rows from others, however their text was read: 16 hexadecimal digits of SHA-256. */
export function hashOfRows(rows: readonly Row[]): string {
  const hash = createHash('sha256');
  for (const { tokens, labels, positions } of rows) {
    for (const data of [tokens, labels, positions]) hash.update(asBytes(data));
  }
  return hash.digest('hex').slice(0, 16);
}
