import { mentions } from './check.js';
import { TemplateError } from './errors.js';
import type { Expression, Statement } from './nodes.js';
import type { Scope } from './scope.js';
import { Callable, Dict, type Kwargs, Tuple, Undefined, type Value } from './values.js';

interface Definition {
  /** Of a call block there is none. */
  readonly name?: string;
  readonly parameters: readonly string[];
  readonly defaults: readonly Expression[];
  readonly body: readonly Statement[];
}

/** A macro, or the body of a call block. */
export class Macro extends Callable {
  readonly #definition: Definition;
  readonly #uses: Readonly<Record<'caller' | 'kwargs' | 'varargs', boolean>>;

  /** @param render the text for values of the names that are given; the others have their defaults */
  constructor(definition: Definition, render: (given: ReadonlyMap<string, Value>) => Value) {
    super((args, kwargs) => render(this.#bind(args, kwargs)), 'Macro');
    this.#definition = definition;
    const { body, parameters } = definition;
    const isFree = (name: string) => !parameters.includes(name) && mentions(body, name);
    this.#uses = { caller: isFree('caller'), kwargs: isFree('kwargs'), varargs: isFree('varargs') };
  }

  override attribute(name: string): Value | undefined {
    if (name === 'name') return this.#definition.name ?? null;
    if (name === 'arguments') return new Tuple(this.#definition.parameters);
    if (name === 'catch_kwargs') return this.#uses.kwargs;
    if (name === 'catch_varargs') return this.#uses.varargs;
    return name === 'caller' ? this.#uses.caller : undefined;
  }

  /** As Macro.__call__ of Jinja2. */
  #bind(args: readonly Value[], kwargs: Kwargs): ReadonlyMap<string, Value> {
    const { parameters } = this.#definition;
    const rest = new Map(kwargs);
    const given = new Map<string, Value>();
    for (const [i, name] of parameters.entries()) {
      const value = i < args.length ? args[i] : rest.get(name);
      if (i >= args.length) rest.delete(name);
      if (value !== undefined) given.set(name, value);
    }
    if (this.#uses.caller) {
      given.set('caller', rest.get('caller') ?? new Undefined('No caller defined'));
      rest.delete('caller');
    }
    if (this.#uses.kwargs) given.set('kwargs', new Dict(rest));
    else if (rest.size > 0) throw this.#error(`takes no keyword argument '${[...rest.keys()][0]}'`);
    if (this.#uses.varargs) given.set('varargs', new Tuple(args.slice(parameters.length)));
    else if (args.length > parameters.length) {
      throw this.#error(`takes not more than ${parameters.length} argument(s)`);
    }
    return given;
  }

  #error(what: string): TemplateError {
    return new TemplateError(`macro '${this.#definition.name ?? 'None'}' ${what}`);
  }
}

/** Gives the parameters of a macro that were left out their defaults, in a scope that has the others. */
export function setDefaults(
  { parameters, defaults }: Definition,
  scope: Scope,
  given: ReadonlyMap<string, Value>,
  evaluate: (expression: Expression, scope: Scope) => Value,
): void {
  for (const [i, name] of parameters.entries()) {
    if (given.has(name)) continue;
    const otherwise = defaults[i - parameters.length + defaults.length];
    scope.set(
      name,
      otherwise ? evaluate(otherwise, scope) : new Undefined(`parameter '${name}' was not provided`),
    );
  }
}
