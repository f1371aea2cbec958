import { columns, rows, type Value } from '../../../program/types.js';
import { leftFactor, type Product, rightFactor, type Term } from './linearProduct.js';
import { productDispatches } from './linearVariants.js';
import { type Dispatch, floatType, type Lowering, type Operands } from './lowering.js';

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
    const shape = { m: columns(dy!), n: columns(x!), first: 0, stride: columns(x!) };
    const out = { ...baseOf(base, at), y: at.of(dw!), type: floatType(dw, at) };
    return productDispatches({ ...shape, ...out, terms: [term] }, at.target);
  },
};
