import { add } from './add.js';
import { attention } from './attention.js';
import { cached_attention } from './cached_attention.js';
import type { OpCase, OpTable, Reference } from './cases.js';
import { column_sum } from './column_sum.js';
import { dropout } from './dropout.js';
import { embed } from './embed.js';
import { joint_loss_head } from './joint_loss_head.js';
import { linear } from './linear.js';
import { optimizer } from './optimizer.js';
import { rmsnorm } from './rmsnorm.js';
import { rope } from './rope.js';
import { scatter } from './scatter.js';
import { swiglu } from './swiglu.js';

const tables: readonly OpTable[] = [
  embed,
  rmsnorm,
  linear,
  column_sum,
  dropout,
  rope,
  attention,
  cached_attention,
  swiglu,
  add,
  joint_loss_head,
  optimizer,
  scatter,
];

/** The plain meaning of every op, by its name. */
export const references: Readonly<Record<string, Reference>> = Object.assign(
  {},
  ...tables.map((table) => table.references),
);

/** Every case of every op. */
export const cases: readonly OpCase[] = tables.flatMap((table) => table.cases);
