import { z } from 'zod';
import { excerpt, InputError } from '../../base/errors.js';
import type { ChoiceItem } from './item.js';
import { normedAccuracy } from './multipleChoice.js';
import type { ChoiceTask } from './task.js';
import { choiceLayout, type Layouts } from './taskData.js';

const choices = z
  .array(z.object({ text: z.string(), label: z.string() }))
  .min(1, 'expected at least 1 choice');

const texts = z.array(z.string());

const layouts: Layouts<ChoiceItem> = {
  /** As AI2 publishes it. */
  local: choiceLayout(
    z.looseObject({ question: z.looseObject({ stem: z.string(), choices }), answerKey: z.string() }),
    ({ question: { stem, choices }, answerKey }) =>
      itemOf(
        stem,
        choices.map(({ text }) => text),
        choices.map(({ label }) => label),
        answerKey,
      ),
  ),
  /** As allenai/ai2_arc. */
  hub: choiceLayout(
    z.looseObject({
      question: z.string(),
      choices: z.looseObject({ text: texts.min(1, 'expected at least 1 choice'), label: texts }),
      answerKey: z.string(),
    }),
    ({ question, choices: { text, label }, answerKey }) => itemOf(question, text, label, answerKey),
  ),
};

/** ARC's challenge set: questions of school science with three to five choices. */
export const arcChallenge: ChoiceTask = {
  kind: 'choice',
  name: 'arc_challenge',
  shots: 25,
  headline: 'acc_norm',
  measure: normedAccuracy,
  async read(data) {
    const [local, hub] = ['arc/ARC-Challenge', 'allenai/ai2_arc/ARC-Challenge'];
    const items = await data.items({ local: [`${local}-Test.jsonl`], hub: `${hub}/test-*.parquet`, layouts });
    const pool = await data.items({
      local: [`${local}-Train.jsonl`, `${local}-Dev.jsonl`],
      hub: `${hub}/train-*.parquet`,
      layouts,
    });
    return [{ name: 'arc_challenge', items, pool, draw: 'random', preamble: '' }];
  },
};

/** The right choice is the one with the label `key` among the item's own: they are A to E, or 1 to 5. */
function itemOf(
  question: string,
  choices: readonly string[],
  labels: readonly string[],
  key: string,
): Omit<ChoiceItem, 'record'> {
  const right = labels.indexOf(key);
  if (right < 0 || right >= choices.length) {
    throw new InputError(`answerKey: expected one of the labels ${excerpt(labels)}, found ${excerpt(key)}`);
  }
  const context = `Question: ${question}\nAnswer:`;
  return { contexts: [context], choices, right: [right], example: `${context} ${choices[right]}` };
}
