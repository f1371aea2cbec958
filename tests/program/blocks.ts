import { Builder } from '#src/program/builder.js';
import { addGradients } from '#src/program/gradients.js';
import { add } from '#src/program/ops/add.js';
import { attention } from '#src/program/ops/attention.js';
import { dropout } from '#src/program/ops/dropout.js';
import { embed } from '#src/program/ops/embed.js';
import { jointLossHead } from '#src/program/ops/joint_loss_head.js';
import { linear } from '#src/program/ops/linear.js';
import { rmsnorm } from '#src/program/ops/rmsnorm.js';
import { rope } from '#src/program/ops/rope.js';
import { swiglu } from '#src/program/ops/swiglu.js';
import { withRecompute } from '#src/program/recompute.js';
import { type Call, elementCount, type Module, type Role, type Value } from '#src/program/types.js';
import { Random } from '../ops/cases.js';

/** Blocks small enough for the references, with what the host writes into their values. */

export const [TOKENS, WIDTH, VOCABULARY, RANK, ALPHA] = [6, 4, 7, 2, 0.6];

/** A small model: its values and what the host writes into them. */
export class Model {
  readonly b = new Builder();
  readonly data = new Map<Value, Float64Array>();
  readonly #random = new Random(3);

  /** Normal numbers unless told, small enough that no softmax saturates. */
  value(
    role: Role,
    name: string,
    shape: readonly number[],
    make: (i: number) => number = () => 0.6 * this.#random.normal(),
  ) {
    const value = this.b.value(role, name, shape);
    this.data.set(
      value,
      Float64Array.from({ length: elementCount(shape) }, (_, i) => make(i)),
    );
    return value;
  }

  /** y = base + x W^T + 1.5 (drop(x) A^T) B^T, with W frozen. */
  lora(name: string, x: Value, out: number, { base = null, drop = (v) => v }: LoraOptions = {}): Value {
    const width = x.shape.at(-1)!;
    const weight = this.value('weight', `${name}.weight`, [out, width]);
    const a = this.value('parameter', `${name}.A`, [RANK, width]);
    const low = linear(this.b, `${name}.low`, [{ x: drop(x), weight: a }]);
    const b = this.value('parameter', `${name}.B`, [out, RANK]);
    const terms = [
      { x, weight },
      { x: low, weight: b, scale: 1.5 },
    ];
    return linear(this.b, name, terms, base);
  }

  norm(name: string, x: Value): Value {
    return rmsnorm(this.b, name, x, this.value('weight', `${name}.weight`, [x.shape.at(-1)!]), 1e-2);
  }

  loss(hidden: Value): void {
    const head = this.value('weight', 'head', [VOCABULARY, WIDTH]);
    const teacherHidden = this.value('input', 'teacherHidden', [TOKENS, 3]);
    const teacherHead = this.value('weight', 'teacherHead', [VOCABULARY + 1, 3]);
    const labels = this.value('input', 'labels', [TOKENS], (t) => [3, -100, 0, 6, 2, 2][t]!);
    const inputs = { hidden, head, teacherHidden, teacherHead, labels };
    jointLossHead(this.b, inputs, { alpha: ALPHA, temperature: 2, gradient: true });
  }
}

interface LoraOptions {
  readonly base?: Value | null;
  readonly drop?: (x: Value) => Value;
}

export interface Recorded {
  readonly module: Module;
  readonly gradients: Map<Value, Value>;
  readonly data: ReadonlyMap<Value, Float64Array>;
  readonly calls: readonly Call[];
}

export function record(build: (model: Model) => void, recompute = false): Recorded {
  const model = new Model();
  let gradients = new Map<Value, Value>();
  model.b.program('step', { arena: 'step' }, () => {
    build(model);
    const backward = () => addGradients(model.b);
    gradients = recompute ? withRecompute(model.b, backward) : backward();
  });
  const module = model.b.module();
  return { module, gradients, data: model.data, calls: module.programs[0]!.calls };
}

/** Values that every block reads. */
function declareInputs(model: Model) {
  const tokens = model.value('input', 'tokens', [TOKENS], (t) => (t * 3) % (VOCABULARY - 1));
  const positions = model.value('input', 'positions', [TOKENS], (t) => [0, 1, 0, 0, 1, 2][t]!);
  const angles = model.value('weight', 'angles', [3, 2], (i) => (i % 2 ? Math.sin : Math.cos)(i - (i % 2)));
  return { tokens, positions, angles };
}

const HEADS = { sequence: 3, heads: 2, keyValueHeads: 1, headDim: 2 };

/**
 * A whole Llama block, a segment, with LoRA on every linear and dropout before A. One more `add` reads a value from
 * inside.
 */
export function block(model: Model): void {
  const { b } = model;
  const { tokens, positions, angles } = declareInputs(model);
  const place = model.value('input', 'place', [TOKENS], (t) => t);
  const seedStep = model.value('scalar', 'seedStep', [2], (i) => i + 1);
  let site = 0;
  const drop = (x: Value) => dropout(b, x, { seedStep, place }, 0.3, site++);
  const h0 = embed(b, tokens, model.value('weight', 'embedding', [VOCABULARY, WIDTH]));
  const [h1, h2] = b.segment(() => {
    const n0 = model.norm('n0', h0);
    const q = rope(b, model.lora('q', n0, 4, { drop }), positions, angles);
    const k = rope(b, model.lora('k', n0, 2, { drop }), positions, angles);
    const v = model.lora('v', n0, 2, { drop });
    const middle = model.lora('o', attention(b, { q, k, v }, positions, HEADS), WIDTH, { base: h0, drop });
    const n1 = model.norm('n1', middle);
    const gated = swiglu(b, model.lora('gate', n1, 5, { drop }), model.lora('up', n1, 5, { drop }));
    return [middle, model.lora('down', gated, WIDTH, { base: middle, drop })];
  }) as [Value, Value];
  model.loss(model.norm('n2', add(b, h2, h1)));
}

/** The same block with every weight trained, biases, q and k normalised by head, and the embedding as the head. */
export function wholeBlock(model: Model, embeddingRole: Role): void {
  const { b } = model;
  const { tokens, positions, angles } = declareInputs(model);
  const norm = (name: string, x: Value, width = WIDTH) =>
    rmsnorm(b, name, x, model.value('parameter', `${name}.weight`, [width]), 1e-2);
  const layer = (name: string, x: Value, out: number, base: Value | null = null) => {
    const weight = model.value('parameter', `${name}.weight`, [out, x.shape.at(-1)!]);
    return linear(b, name, [{ x, weight }], base, model.value('parameter', `${name}.bias`, [out]));
  };
  const embedding = model.value(embeddingRole, 'embedding', [VOCABULARY, WIDTH]);
  const h0 = embed(b, tokens, embedding);
  const h2 = b.segment(() => {
    const n0 = norm('n0', h0);
    const q = rope(b, norm('q_norm', layer('q', n0, 4), 2), positions, angles);
    const k = rope(b, norm('k_norm', layer('k', n0, 2), 2), positions, angles);
    const h1 = layer('o', attention(b, { q, k, v: layer('v', n0, 2) }, positions, HEADS), WIDTH, h0);
    const n1 = norm('n1', h1);
    return layer('down', swiglu(b, layer('gate', n1, 5), layer('up', n1, 5)), WIDTH, h1);
  });
  const logits = linear(b, 'logits', [{ x: norm('n2', h2), weight: embedding }]);
  model.loss(linear(b, 'end', [{ x: logits, weight: model.value('weight', 'end', [WIDTH, VOCABULARY]) }]));
}
