import { NO_LABEL } from '../data/packing.js';
import { sharedTokenizer } from '../data/tokenizer/shared.js';
import { evaluationWindows, predictedBytes } from '../evaluation/heldOut.js';
import { textOptions } from '../prepare/locateText.js';
import type { Preparation } from '../prepare/prepare.js';

/** Bytes and predicted tokens of held-out texts, each read once. */
export class HeldOutTexts {
  readonly #known = new Map<string, Promise<number>>();

  /** Bits per byte of a loss in nats per token on the held-out text of a run. */
  async bitsPerByte(nll: number, prepared: Preparation): Promise<number> {
    const { options, models, text, encoding } = prepared;
    const setting = {
      tokenizer: models.student,
      text: textOptions(options, text.evalData ?? text.data),
      evalFraction: options.evalData === undefined ? options.evalFraction : 0,
      encoding,
      sequence: options.sequence,
      tokens: options.evalTokens,
    };
    const key = JSON.stringify(setting);
    const bytesPerToken = this.#known.get(key) ?? bytesPerTokenOf(setting);
    this.#known.set(key, bytesPerToken);
    return nll / Math.LN2 / (await bytesPerToken);
  }
}

async function bytesPerTokenOf(setting: Parameters<typeof evaluationWindows>[0]): Promise<number> {
  const rows = await evaluationWindows(setting);
  const tokens = rows.reduce(
    (sum, { labels }) => sum + labels.filter((label) => label !== NO_LABEL).length,
    0,
  );
  return predictedBytes(rows, await sharedTokenizer(setting.tokenizer)) / tokens;
}
