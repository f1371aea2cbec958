import { z } from 'zod';
import { InputError } from '../../base/errors.js';
import type { ChoiceItem } from './item.js';
import { accuracy } from './multipleChoice.js';
import { stripped } from './pythonText.js';
import type { ChoiceTask } from './task.js';
import { choiceLayout, type Layouts } from './taskData.js';

const layouts: Layouts<ChoiceItem> = {
  /** As llm-foundry has it: the sentence up to the gap, filled in both ways, and its rest. */
  local: choiceLayout(
    z.looseObject({
      context_options: z.array(z.string()).min(1, 'expected at least 1 option'),
      continuation: z.string(),
      gold: z.int().min(0),
    }),
    ({ context_options, continuation, gold }) => itemOf(context_options, continuation, gold),
  ),
  /** As allenai/winogrande: a sentence with `_` for the gap. */
  hub: choiceLayout(
    z.looseObject({
      sentence: z.string(),
      option1: z.string(),
      option2: z.string(),
      answer: z.enum(['1', '2'], 'expected 1 or 2'),
    }),
    ({ sentence, option1, option2, answer }) => {
      const gap = sentence.indexOf('_');
      if (gap < 0) throw new InputError('sentence: expected a gap, _, found none');
      const contexts = [option1, option2].map((option) => sentence.slice(0, gap) + option);
      return itemOf(contexts, stripped(sentence.slice(gap + 1)), Number(answer) - 1);
    },
  ),
};

/** WinoGrande: which of two names a sentence speaks of. The choices are contexts here, and the rest of the sentence is scored. */
export const winogrande: ChoiceTask = {
  kind: 'choice',
  name: 'winogrande',
  shots: 5,
  headline: 'acc',
  measure: accuracy,
  async read(data) {
    const hub = 'allenai/winogrande/winogrande_xl';
    const evaluated = 'winogrande/validation.jsonl';
    const items = await data.items({ local: [evaluated], hub: `${hub}/validation-*.parquet`, layouts });
    const pool = await data.items({
      local: ['winogrande/train.jsonl', evaluated],
      hub: `${hub}/train-*.parquet`,
      layouts,
    });
    return [{ name: 'winogrande', items, pool, draw: 'others', preamble: '' }];
  },
};

function itemOf(contexts: readonly string[], rest: string, right: number): Omit<ChoiceItem, 'record'> {
  if (right >= contexts.length) {
    throw new InputError(`gold: expected a number from 0 to ${contexts.length - 1}, found ${right}`);
  }
  return { contexts, choices: [rest], right: [right], example: `${contexts[right]} ${rest}` };
}
