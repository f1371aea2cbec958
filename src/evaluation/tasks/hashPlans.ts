import { startHash } from '../../formats/hashes.js';
import { isChoicePlan, type TaskPlan } from './planTask.js';

const NAME = 'items of ';

/** Hashes of text alone, without those of `hashPlans` among them. */
export const withoutPlans = (
  hashes: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(hashes).filter(([name]) => !name.startsWith(NAME)));

/** What tells what tasks ask, and what their answers are, from anything else: by `items of TASK`, number and XXH64 of all. */
export async function hashPlans(plans: readonly TaskPlan[]): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const plan of plans) {
    const hash = await startHash();
    let items = 0;
    const update = (ids: Uint32Array) => {
      hash.update(Uint8Array.of(0));
      hash.update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
    };
    for (const { item, ids } of askedBy(plan)) {
      hash.update(new TextEncoder().encode(JSON.stringify('right' in item ? item.right : item.target)));
      for (const part of ids) update(part);
      items++;
    }
    hashes[`${NAME}${plan.task.name}`] = `${items}-${hash.digest()}`;
  }
  return hashes;
}

function* askedBy(plan: TaskPlan) {
  if (!isChoicePlan(plan)) {
    for (const { items } of plan.parts) for (const { item, prompt } of items) yield { item, ids: [prompt] };
    return;
  }
  for (const { items } of plan.parts)
    for (const { item, groups } of items) {
      yield { item, ids: groups.flatMap(({ context, continuations }) => [context, ...continuations]) };
    }
}
