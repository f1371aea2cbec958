import type { Row } from '../../data/packing/rows.js';
import { predictedBytes } from '../../evaluation/textBytes.js';
import type { Model } from '../../inference/model.js';

export interface TextLoss {
  /** Nats per predicted token. */
  readonly nll: number;
  /** The same loss over the UTF-8 bytes of the predicted tokens' text, in bits: comparable between tokenizers. */
  readonly bits_per_byte: number;
}

/** What a model makes of rows of text, each as long as the model's windows. */
export async function textLoss(
  model: Model,
  rows: Iterable<Row> | AsyncIterable<Row>,
  signal?: AbortSignal,
): Promise<TextLoss> {
  let bytes = 0;
  const counted = async function* () {
    for await (const row of rows) {
      bytes += predictedBytes(model.tokenizer, row);
      yield row;
    }
  };
  const { nll, tokens } = await model.score(counted(), { signal });
  return { nll, bits_per_byte: (nll * tokens) / Math.LN2 / bytes };
}
