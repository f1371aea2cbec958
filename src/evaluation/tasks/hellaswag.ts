import { z } from 'zod';
import { excerpt, InputError } from '../../base/errors.js';
import { capitalize } from '../../data/chat/jinja/stringClasses.js';
import type { ChoiceItem } from './item.js';
import { normedAccuracy } from './multipleChoice.js';
import { stripped } from './pythonText.js';
import type { ChoiceTask } from './task.js';
import { choiceLayout, type Layout } from './taskData.js';

/** The local files and Rowan/hellaswag on the Hub have the same fields; there the label is a text. */
const record = z.looseObject({
  activity_label: z.string(),
  ctx_a: z.string(),
  ctx_b: z.string(),
  endings: z.array(z.string()).min(1, 'expected at least 1 ending'),
  label: z.union([z.int(), z.string()], 'expected the number of the right ending'),
});

const read: Layout<ChoiceItem> = choiceLayout(record, itemOf);
const layouts = { local: read, hub: read };

/** HellaSwag: how a scene goes on. */
export const hellaswag: ChoiceTask = {
  kind: 'choice',
  name: 'hellaswag',
  shots: 10,
  headline: 'acc_norm',
  measure: normedAccuracy,
  async read(data) {
    const hub = 'Rowan/hellaswag/data';
    const evaluated = ['hellaswag/validation.jsonl', 'hellaswag/validation*.jsonl'];
    const items = await data.items({ local: evaluated, hub: `${hub}/validation-*.parquet`, layouts });
    const pool = await data.items({
      local: ['hellaswag/train.jsonl', ...evaluated],
      hub: `${hub}/train-*.parquet`,
      layouts,
    });
    return [{ name: 'hellaswag', items, pool, draw: 'others', preamble: '' }];
  },
};

function itemOf({
  activity_label,
  ctx_a,
  ctx_b,
  endings,
  label,
}: z.infer<typeof record>): Omit<ChoiceItem, 'record'> {
  const right = /^\d+$/.test(String(label)) ? Number(label) : Number.NaN;
  if (!(right < endings.length)) {
    throw new InputError(`label: expected a number from 0 to ${endings.length - 1}, found ${excerpt(label)}`);
  }
  const context = cleaned(`${activity_label}: ${ctx_a} ${capitalize(ctx_b)}`);
  const choices = endings.map(cleaned);
  return { contexts: [context], choices, right: [right], example: `${context} ${choices[right]}` };
}

/**
 * Takes out what is left over from the wikiHow pages, as lm_eval does: nothing is stripped once the brackets are away, so
 * an ending may begin with a space.
 */
const cleaned = (text: string): string =>
  stripped(text)
    .replaceAll(' [title]', '. ')
    .replace(/\[[^\n]*?\]/g, '')
    .replaceAll('  ', ' ');
