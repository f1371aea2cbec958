import { TemplateError } from './errors.js';
import { Evaluator } from './evaluator.js';
import { spend, startCounting } from './limits.js';
import { Loop } from './loop.js';
import { Macro, setDefaults } from './macro.js';
import type { Block, CallBlock, For, Macro as MacroNode, Statement, Target } from './nodes.js';
import { Output } from './output.js';
import { str } from './printing.js';
import { Scope } from './scope.js';
import { iterate, iteratorOf, listOf } from './sequences.js';
import { isTrue, Namespace, Once, typeName, type Value } from './values.js';

/** Texts that are put around what is printed, to find it again. */
export interface Marks {
  /** Around what generation blocks print. */
  readonly generation?: readonly [begin: string, end: string];
  /** Around what a loop prints for an item. */
  readonly item?: (item: Value) => readonly [begin: string, end: string] | undefined;
}

/** How a list of statements ended, where not at its end. */
type Exit = 'break' | 'continue' | undefined;

/** Deeper calls of macros exhaust the stack, of Python as well. */
const MOST_CALLS = 150;

/**
 * Prints a template.
 * @throws TemplateError
 */
export function render(
  template: readonly Statement[],
  variables: ReadonlyMap<string, Value>,
  marks: Marks = {},
): string {
  startCounting();
  const renderer = new Renderer(variables, marks);
  try {
    return renderer.render(template);
  } catch (error) {
    if (error instanceof RangeError) throw new TemplateError('maximum recursion depth exceeded');
    throw error;
  }
}

class Renderer extends Evaluator {
  readonly #root: Scope;
  readonly #marks: Marks;
  #calls = 0;

  constructor(variables: ReadonlyMap<string, Value>, marks: Marks) {
    super();
    this.#root = new Scope(undefined, variables);
    this.#marks = marks;
  }

  render(template: readonly Statement[]): string {
    const output = new Output();
    this.#run(template, this.#root, output);
    return output.text;
  }

  #run(statements: readonly Statement[], scope: Scope, output: Output): Exit {
    for (const statement of statements) {
      const exit = this.#statement(statement, scope, output);
      if (exit) return exit;
    }
    return undefined;
  }

  #statement(node: Statement, scope: Scope, output: Output): Exit {
    spend();
    switch (node.kind) {
      case 'text':
        return void output.write(node.text);
      case 'print':
        return void output.write(str(this.evaluate(node.value, scope)));
      case 'set':
        return void this.#assign(node.target, this.evaluate(node.value, scope), scope);
      case 'if': {
        const branch = node.branches.find(({ test }) => isTrue(this.evaluate(test, scope)));
        return this.#run(branch?.body ?? node.otherwise, scope, output);
      }
      case 'for':
        return this.#for(node, scope, output);
      case 'macro':
        return void scope.set(node.name, this.#macro(node, scope));
      case 'callBlock':
        return void output.write(str(this.call(node.call, scope, this.#macro(node, scope))));
      case 'generation':
        return void this.#generation(node.body, scope, output);
      case 'block':
        return void this.#block(node, scope, output);
      case 'break':
      case 'continue':
        return node.kind;
      default:
        return this.#capturing(node, scope, output);
    }
  }

  /** Blocks with a scope of their own that are part of what is around them: break and continue leave them. */
  #capturing(
    node: Extract<Statement, { readonly kind: 'setBlock' | 'filterBlock' | 'with' }>,
    scope: Scope,
    output: Output,
  ): Exit {
    const inner = new Scope(scope);
    if (node.kind === 'with') {
      for (const [target, value] of node.assignments)
        this.#assign(target, this.evaluate(value, scope), inner);
      return this.#run(node.body, inner, output);
    }
    const captured = new Output();
    const exit = this.#run(node.body, inner, captured);
    if (exit) return exit;
    const { text } = captured;
    if (node.kind === 'filterBlock') output.write(str(this.filterText(node.filter, text, inner)));
    else this.#assign(node.target, node.filter ? this.filterText(node.filter, text, inner) : text, scope);
    return undefined;
  }

  /** Python's generation blocks are calls of a macro. */
  #generation(body: readonly Statement[], scope: Scope, output: Output): void {
    const print = () => void this.#run(body, new Scope(scope), output);
    if (this.#marks.generation) output.marked(this.#marks.generation, print);
    else print();
  }

  #block({ name, isScoped, isRequired, body }: Block, scope: Scope, output: Output): void {
    if (isRequired) throw new TemplateError(`Required block '${name}' not found`);
    this.#run(body, new Scope(isScoped ? scope : this.#root), output);
  }

  #for(node: For, scope: Scope, output: Output): Exit {
    const items = this.evaluate(node.iterable, scope);
    if (!node.isRecursive) return this.#loop(node, items, scope, output, undefined, 0);
    const recurse = (more: Value, depth: number): string => {
      const printed = new Output();
      this.#called(() => this.#loop(node, more, scope, printed, recurse, depth));
      return printed.text;
    };
    output.write(recurse(items, 0));
    return undefined;
  }

  #loop(
    node: For,
    items: Value,
    scope: Scope,
    output: Output,
    recurse: ((items: Value, depth: number) => string) | undefined,
    depth: number,
  ): Exit {
    const loop = new Loop(node.test ? this.#filtered(node, items, scope) : items, recurse, depth);
    let isEmpty = true;
    for (let item = loop.next(); item !== undefined; item = loop.next()) {
      isEmpty = false;
      spend(3);
      if (this.#iteration(node, item, loop, scope, output) === 'break') break;
    }
    return isEmpty ? this.#run(node.otherwise, new Scope(scope), output) : undefined;
  }

  #iteration(node: For, item: Value, loop: Loop, scope: Scope, output: Output): Exit {
    const inner = new Scope(scope);
    inner.set('loop', loop);
    this.#assign(node.target, item, inner);
    const marks = this.#marks.item?.(item);
    if (!marks) return this.#run(node.body, inner, output);
    let exit: Exit;
    output.marked(marks, () => {
      exit = this.#run(node.body, inner, output);
    });
    return exit;
  }

  #filtered(node: For, items: Value, scope: Scope): Once {
    const iterator = iterate(items);
    const holds = (item: Value): boolean => {
      const inner = new Scope(scope);
      this.#assign(node.target, item, inner);
      return isTrue(this.evaluate(node.test!, inner));
    };
    function* filtered(): Generator<Value> {
      for (let next = iterator.next(); !next.done; next = iterator.next()) {
        if (holds(next.value)) yield next.value;
      }
    }
    return new Once(filtered());
  }

  #macro(node: MacroNode | CallBlock, scope: Scope): Macro {
    return new Macro(node, (given) =>
      this.#called(() => {
        const inner = new Scope(scope, given);
        setDefaults(node, inner, given, (expression, at) => this.evaluate(expression, at));
        const output = new Output();
        this.#run(node.body, inner, output);
        return output.text;
      }),
    );
  }

  #called<T>(call: () => T): T {
    if (++this.#calls > MOST_CALLS) throw new TemplateError('maximum recursion depth exceeded');
    const result = call();
    this.#calls--;
    return result;
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    if (target.kind === 'name') scope.set(target.name, value);
    else if (target.kind === 'tuple') this.#unpack(target.items, value, scope);
    else {
      const namespace = scope.get(target.object);
      if (!(namespace instanceof Namespace)) {
        throw new TemplateError('cannot assign attribute on non-namespace object');
      }
      namespace.set(target.name, value);
    }
  }

  #unpack(targets: readonly Target[], value: Value, scope: Scope): void {
    if (!iteratorOf(value)) throw new TemplateError(`cannot unpack non-iterable ${typeName(value)} object`);
    const items = listOf(value);
    if (items.length !== targets.length) {
      const what = items.length < targets.length ? 'not enough' : 'too many';
      throw new TemplateError(`${what} values to unpack (expected ${targets.length})`);
    }
    for (const [i, target] of targets.entries()) this.#assign(target, items[i]!, scope);
  }
}
