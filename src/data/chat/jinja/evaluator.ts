import { getAttribute, getItem } from './attributes.js';
import { notSupported, TemplateError } from './errors.js';
import type { Context } from './filter.js';
import { applyFilter } from './filters.js';
import { checkText, spend, spendOnText } from './limits.js';
import type { Arguments, Call, Comparison, Expression, Filter } from './nodes.js';
import { binary, concatenated, unary } from './operators.js';
import { str } from './printing.js';
import type { Scope } from './scope.js';
import { contains, equals, isOrdered, listOf, slice } from './sequences.js';
import { applyTest } from './tests.js';
import { Callable, Dict, isTrue, Tuple, typeName, Undefined, type Value } from './values.js';

/** What expressions are worth. */
export class Evaluator {
  readonly #context: Context = {
    filter: (name, value, args, kwargs) => applyFilter(this.#context, name, value, args, kwargs),
    test: (name, value, args, kwargs) => applyTest(name, value, args, kwargs),
  };

  /** @throws TemplateError */
  evaluate(node: Expression, scope: Scope): Value {
    spend();
    switch (node.kind) {
      case 'constant':
        return node.value;
      case 'name':
        return this.#name(node.name, scope);
      case 'attribute':
        return getAttribute(priced(this.evaluate(node.object, scope)), node.name);
      case 'item':
        return getItem(priced(this.evaluate(node.object, scope)), this.evaluate(node.key, scope));
      case 'call':
        return this.call(node, scope);
      case 'filter':
        return this.filter(node, this.evaluate(node.operand!, scope), scope);
      case 'test': {
        const { args, kwargs } = this.#arguments(node, scope, this.evaluate(node.operand, scope));
        return applyTest(node.name, args[0]!, args.slice(1), kwargs);
      }
      case 'and': {
        const left = this.evaluate(node.left, scope);
        return isTrue(left) ? this.evaluate(node.right, scope) : left;
      }
      case 'or': {
        const left = this.evaluate(node.left, scope);
        return isTrue(left) ? left : this.evaluate(node.right, scope);
      }
      case 'not':
        return !isTrue(this.evaluate(node.operand, scope));
      case 'compare':
        return this.#compare(node.first, node.rest, scope);
      case 'condition':
        if (isTrue(this.evaluate(node.test, scope))) return this.evaluate(node.yes, scope);
        return node.no ? this.evaluate(node.no, scope) : new Undefined(NO_ELSE);
      default:
        return this.#made(node, scope);
    }
  }

  /** Values that are made of others. */
  #made(node: Expression, scope: Scope): Value {
    switch (node.kind) {
      case 'concat':
        return priced(concatenated(node.parts.map((part) => this.evaluate(part, scope))));
      case 'binary':
        return priced(
          binary(node.operator, this.evaluate(node.left, scope), this.evaluate(node.right, scope)),
        );
      case 'negative':
        return unary('-', this.evaluate(node.operand, scope));
      case 'positive':
        return unary('+', this.evaluate(node.operand, scope));
      case 'list':
        return node.items.map((item) => this.evaluate(item, scope));
      case 'tuple':
        return new Tuple(node.items.map((item) => this.evaluate(item, scope)));
      case 'dict':
        return new Dict(
          node.items.map(([key, value]) => [this.evaluate(key, scope), this.evaluate(value, scope)] as const),
        );
      case 'slice': {
        const object = priced(this.evaluate(node.object, scope));
        const edge = (part: Expression | undefined) => (part ? this.evaluate(part, scope) : null);
        const { start, stop, step } = node.slice;
        return priced(slice(object, edge(start), edge(stop), edge(step)));
      }
      default:
        throw new TemplateError(`an expression of kind ${node.kind}`);
    }
  }

  /** A filter of a value that is there already. */
  filter(node: Filter, operand: Value, scope: Scope): Value {
    const { args, kwargs } = this.#arguments(node, scope);
    return priced(applyFilter(this.#context, node.name, priced(operand), args, kwargs));
  }

  /** Filters one after the other, the first of them of a text. */
  filterText(node: Filter, text: string, scope: Scope): Value {
    const operand = node.operand ? this.filterText(node.operand as Filter, text, scope) : text;
    return this.filter(node, operand, scope);
  }

  /** @param caller what a call block hands over */
  call(node: Call, scope: Scope, caller?: Value): Value {
    const callee = this.evaluate(node.callee, scope);
    const { args, kwargs } = this.#arguments(node, scope);
    if (callee instanceof Undefined) throw callee.error();
    if (!(callee instanceof Callable))
      throw new TemplateError(`'${typeName(callee)}' object is not callable`);
    if (caller !== undefined) kwargs.set('caller', caller);
    return priced(callee.call(args, kwargs));
  }

  #name(name: string, scope: Scope): Value {
    const value = scope.find(name);
    if (value === undefined && name === 'self') throw notSupported('the variable self');
    return value === undefined ? scope.get(name) : value;
  }

  #arguments(node: Arguments, scope: Scope, first?: Value): { args: Value[]; kwargs: Map<string, Value> } {
    const args = node.args.map((argument) => this.evaluate(argument, scope));
    if (first !== undefined) args.unshift(first);
    if (node.dynamicArgs) args.push(...listOf(this.evaluate(node.dynamicArgs, scope)));
    const kwargs = new Map(node.kwargs.map(([name, value]) => [name, this.evaluate(value, scope)] as const));
    if (node.dynamicKwargs) addKwargs(kwargs, this.evaluate(node.dynamicKwargs, scope));
    return { args, kwargs };
  }

  #compare(first: Expression, rest: readonly (readonly [Comparison, Expression])[], scope: Scope): boolean {
    let left = this.evaluate(first, scope);
    for (const [sign, node] of rest) {
      const right = this.evaluate(node, scope);
      if (!this.#holds(sign, left, right)) return false;
      left = right;
    }
    return true;
  }

  #holds(sign: Comparison, left: Value, right: Value): boolean {
    if (sign === '==') return equals(left, right);
    if (sign === '!=') return !equals(left, right);
    if (sign !== 'in' && sign !== 'notin') return isOrdered(sign, left, right);
    return contains(priced(right), left) === (sign === 'in');
  }
}

/** Long values cost more. @throws TemplateError for a text without bounds */
function priced(value: Value): Value {
  if (typeof value === 'string') {
    checkText(value.length);
    spendOnText(value);
  } else if (Array.isArray(value)) spend(value.length >> 8);
  return value;
}

const NO_ELSE = 'the inline if-expression evaluated to false and no else section was defined.';

function addKwargs(kwargs: Map<string, Value>, more: Value): void {
  if (!(more instanceof Dict))
    throw new TemplateError(`argument after ** must be a mapping, not ${typeName(more)}`);
  for (const [key, value] of more.entries()) {
    const name = str(key);
    if (kwargs.has(name)) throw new TemplateError(`got multiple values for keyword argument '${name}'`);
    kwargs.set(name, value);
  }
}
