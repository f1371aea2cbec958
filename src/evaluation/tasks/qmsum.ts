import { InputError } from '../../base/errors.js';
import { Problem } from '../../data/documents/problems.js';
import { BadDocument, openDocuments } from '../../data/documents.js';
import type { MeetingQuery } from '../../data/examples.js';
import type { WrittenItem } from './item.js';
import { overlap } from './overlap.js';
import type { MeetingSetting, WrittenTask } from './task.js';

/** QMSum: summaries of what was said in meetings about a query. Prompts are those that train and evaluate make of it. */
export const qmsum: WrittenTask = {
  kind: 'written',
  name: 'qmsum',
  shots: 0,
  isFixed: true,
  maxTokens: 256,
  stop: [],
  measure: ({ target }, text) => overlap(text, target),
  async read(data, meetings) {
    const items = await readQueries(data.file('qmsum/test.jsonl'), meetings);
    return [{ name: 'qmsum', items, pool: [], draw: 'first', preamble: '' }];
  },
};

async function readQueries(
  path: string,
  { qmsum: options, encodePrompt, decode }: MeetingSetting,
): Promise<WrittenItem[]> {
  const documents = await openDocuments({ paths: [path], qmsum: options });
  const items: WrittenItem[] = [];
  for await (const item of documents.read()) {
    if (item instanceof BadDocument) throw item;
    const { id, example } = item;
    if (typeof example === 'string' || !('query' in example)) {
      throw new InputError(
        `${id}: expected a meeting of QMSum, found another record; is it the data of this task?`,
      );
    }
    const prompt = located(id, () => encodePrompt(example));
    items.push({ ...itemOf(example), context: decode(prompt), prompt });
  }
  if (items.length > 0) return items;
  throw new InputError(`${path}: expected queries about meetings, found none; fetch the file again`);
}

const itemOf = (query: MeetingQuery): Omit<WrittenItem, 'context'> => ({
  record: query,
  example: '',
  target: query.answer,
});

function located<T>(id: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof Problem ? new InputError(`${id}: ${error.message}`) : error;
  }
}
