import { columns, rows, type Value } from '../../../program/types.js';
import { sumParts } from './column_sum.js';
import { leftFactor, type Product, rightFactor, type Slices, type Term } from './linearProduct.js';
import { productDispatches, SLOTS } from './linearVariants.js';
import { type Dispatch, floatType, type Lowering, type Operands, type Target } from './lowering.js';

const baseOf = (base: Value | null | undefined, at: Operands): Pick<Product, 'base' | 'baseType'> => ({
  base: base ? at.of(base) : null,
  baseType: floatType(base, at),
});

/** linear reads weights [out, in] along k, its gradient in x across. */
function sumOfProducts(alongK: boolean): Lowering {
  return {
    lower({ inputs: [base, x1, w1, x2, w2, bias], outputs: [y], attributes }, at): Dispatch[] {
      const term = (x: Value, w: Value, scale: number): Term => ({
        x: leftFactor(x, at, true),
        w: rightFactor(w, at, alongK),
        depth: columns(x),
        scale,
      });
      const terms = [term(x1!, w1!, attributes.scale!)];
      if (x2 && w2) terms.push(term(x2, w2, attributes.scale2!));
      const shape = { m: rows(y!), n: columns(y!), first: 0, stride: columns(y!) };
      const added = { ...baseOf(base, at), bias: bias ? at.of(bias) : null };
      return productDispatches(
        { ...shape, ...added, y: at.of(y!), type: floatType(y, at), terms },
        at.target,
      );
    },
  };
}

export const linearLowering = sumOfProducts(true);
export const linearDxLowering = sumOfProducts(false);

export const linearDwLowering: Lowering = {
  lower({ inputs: [base, dy, x], outputs: [dw], attributes: { scale } }, at): Dispatch[] {
    const term: Term = {
      x: leftFactor(dy!, at, false),
      w: rightFactor(x!, at, false),
      depth: rows(x!),
      scale: scale!,
    };
    const shape = { m: columns(dy!), n: columns(x!), first: 0, stride: columns(x!), terms: [term] };
    const slices = slicesOf(shape, at.target);
    if (slices.count === 1) {
      const out = { ...baseOf(base, at), y: at.of(dw!), type: floatType(dw, at) };
      return productDispatches({ ...shape, ...out }, at.target);
    }
    const bytes = slicesBytes(slices, shape);
    const summands = { base: null, y: { ...at.workspace, bytes }, type: 'f32', slices } as const;
    return [
      ...productDispatches({ ...shape, ...summands }, at.target),
      sumParts(base, dw!, { parts: slices.count, bytes }, at),
    ];
  },
  workspaceBytes({ inputs: [, dy, x] }, target): number {
    const shape = { m: columns(dy!), n: columns(x!), terms: [{ depth: rows(x!) }] };
    const slices = slicesOf(shape, target);
    return slices.count === 1 ? 0 : slicesBytes(slices, shape);
  },
};

/** Elements of a result that a workgroup computes, about, where it is small. */
const GROUP_ELEMENTS = 2048;
/** Steps of k that a slice has at least; a multiple of every kernel's tile. */
const SLICE_DEPTH = 512;

interface Sum {
  readonly m: number;
  readonly n: number;
  readonly terms: readonly Pick<Term, 'depth'>[];
}

/** Gradients of LoRA's factors are small and deep: so many slices of the tokens that a large GPU is filled. */
function slicesOf({ m, n, terms: [term] }: Sum, target: Target): Slices {
  const groups = Math.ceil((m * n) / GROUP_ELEMENTS);
  // What is used in ranges of its rows is cut already.
  const isWhole = 4 * term!.depth * n <= target.bindingBytes;
  const most = target.lanes === undefined && isWhole ? Math.floor(SLOTS / groups) : 1;
  const steps = Math.ceil(term!.depth / SLICE_DEPTH);
  const depth = SLICE_DEPTH * Math.ceil(steps / Math.max(1, most));
  return { count: Math.ceil(term!.depth / depth), depth };
}

const slicesBytes = ({ count }: Slices, { m, n }: Sum): number => 4 * count * m * n;
