import { check } from './check.js';
import { TemplateError } from './errors.js';
import { makeGlobals } from './globals.js';
import type { Statement } from './nodes.js';
import { parse } from './parser.js';
import { type Marks, render } from './renderer.js';
import type { Value } from './values.js';

/**
 * A template of Jinja2 as transformers sets it up for chat templates: the immutable sandbox, trim_blocks and
 * lstrip_blocks, loop controls, generation blocks, its own tojson, no escaping.
 */
export class Template {
  /** Whether there are generation blocks. */
  readonly hasGenerations: boolean;
  readonly #statements: readonly Statement[];

  /** @throws TemplateError for what is no template, or needs what is not supported */
  constructor(text: string) {
    try {
      this.#statements = parse(text);
      check(this.#statements);
      this.hasGenerations = hasGeneration(this.#statements);
    } catch (error) {
      if (error instanceof RangeError)
        throw new TemplateError('too many levels of expressions in one another');
      throw error;
    }
  }

  /** @throws TemplateError for what it raises */
  render(variables: Iterable<readonly [string, Value]>, marks?: Marks): string {
    return render(this.#statements, new Map([...makeGlobals(), ...variables]), marks);
  }
}

function hasGeneration(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false;
  if ((node as { readonly kind?: unknown }).kind === 'generation') return true;
  return Object.values(node).some(hasGeneration);
}
