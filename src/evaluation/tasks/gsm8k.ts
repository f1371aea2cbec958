import { z } from 'zod';
import type { WrittenItem } from './item.js';
import { measureNumber } from './numberAnswers.js';
import type { WrittenTask } from './task.js';
import { type Layout, layout } from './taskData.js';

/** The same fields in the files and in openai/gsm8k on the Hub. */
const record = z.looseObject({ question: z.string(), answer: z.string() });

const layoutOfBoth: Layout<WrittenItem> = layout(record, itemOf);
const layouts = { local: layoutOfBoth, hub: layoutOfBoth };

/** GSM8K: word problems, whose answer is written out with its reasoning. */
export const gsm8k: WrittenTask = {
  kind: 'written',
  name: 'gsm8k',
  shots: 5,
  headline: 'exact_match,strict-match',
  maxTokens: 256,
  stop: ['Question:', '</s>', '<|im_end|>'],
  measure: ({ target }, text) => measureNumber(text, target),
  async read(data) {
    const read = (split: string) =>
      data.items({
        local: [`gsm8k/${split}.jsonl`],
        hub: `openai/gsm8k/main/${split}-*.parquet`,
        layouts,
      });
    const [items, pool] = [await read('test'), await read('train')];
    return [{ name: 'gsm8k', items, pool, draw: 'random', preamble: '' }];
  },
};

function itemOf({ question, answer }: z.infer<typeof record>): Omit<WrittenItem, 'record'> {
  const context = `Question: ${question}\nAnswer:`;
  return { context, target: answer, example: `${context} ${answer}` };
}
