import { notSupported } from './errors.js';
import { ExpressionParser, isConstantName } from './expressions.js';
import { tokenize } from './lexer.js';
import type { Expression, Signature, Statement, Target } from './nodes.js';
import { describe, TokenStream } from './tokenStream.js';

/**
 * Reads a template as jinja2/parser.py does, with the extensions of chat templates: generation blocks, break, continue.
 * @throws TemplateError
 */
export const parse = (template: string): Statement[] =>
  new Parser(new TokenStream(tokenize(template))).template();

/** Other templates, which a chat template has none of. */
const OTHER_TEMPLATES = ['include', 'import', 'from', 'extends'];
const MOST_LEVELS = 100;

class Parser extends ExpressionParser {
  #depth = 0;

  template(): Statement[] {
    const body = this.#body([]);
    if (this.stream.current.type === 'eof') return body;
    throw this.stream.error(`unexpected '${describe(this.stream.current)}'`);
  }

  /** Up to a tag with one of these names, which is read, or the end of the template where there are none. */
  #body(ends: readonly string[]): Statement[] {
    const body: Statement[] = [];
    if (++this.#depth > MOST_LEVELS) throw this.stream.error('too many levels of blocks in one another');
    for (;;) {
      const { type, value } = this.stream.current;
      if (type === 'eof') break;
      this.stream.next();
      if (type === 'data') body.push({ kind: 'text', text: value });
      else if (type === 'variable_begin') {
        body.push({ kind: 'print', value: this.tuple() });
        this.stream.expect('variable_end');
      } else {
        if (this.stream.isName(...ends)) break;
        body.push(...this.#statement(ends));
        this.stream.expect('block_end');
      }
    }
    this.#depth--;
    return body;
  }

  /** The inside of a block, and the name of the tag that ends it. */
  #inside(...ends: readonly string[]): { body: Statement[]; end: string } {
    this.stream.skipOperator(':');
    this.stream.expect('block_end');
    const body = this.#body(ends);
    if (this.stream.current.type === 'eof') {
      throw this.stream.error(`Unexpected end of template, looking for ${ends.join(' or ')}`);
    }
    return { body, end: this.stream.next().value };
  }

  #statement(ends: readonly string[]): Statement[] {
    const token = this.stream.current;
    const name = token.value;
    if (token.type !== 'name') throw this.stream.error('tag name expected');
    if (OTHER_TEMPLATES.includes(name)) throw notSupported(`{% ${name} %} of another template`);
    const read = Object.hasOwn(this.#tags, name) ? this.#tags[name] : undefined;
    if (!read) {
      const looking = ends.length > 0 ? `, looking for ${ends.join(' or ')}` : '';
      throw this.stream.error(`Encountered unknown tag '${name}'${looking}`);
    }
    this.stream.next();
    const found = read();
    return Array.isArray(found) ? found : [found];
  }

  readonly #tags: Readonly<Record<string, () => Statement | Statement[]>> = {
    if: () => this.#if(),
    for: () => this.#for(),
    set: () => this.#set(),
    with: () => this.#with(),
    macro: () => {
      const { value: name } = this.stream.expect('name');
      const signature = this.#signature();
      return { kind: 'macro', name, ...signature, body: this.#inside('endmacro').body };
    },
    call: () => {
      const signature = this.stream.isOperator('(') ? this.#signature() : { parameters: [], defaults: [] };
      const call = this.expression();
      if (call.kind !== 'call') throw this.stream.error('expected call');
      return { kind: 'callBlock', call, ...signature, body: this.#inside('endcall').body };
    },
    filter: () => {
      const filter = this.filters(undefined, true)!;
      return { kind: 'filterBlock', filter, body: this.#inside('endfilter').body };
    },
    print: () => {
      const printed: Statement[] = [];
      while (this.stream.current.type !== 'block_end') {
        if (printed.length > 0) this.stream.expect('operator', ',');
        printed.push({ kind: 'print', value: this.expression() });
      }
      return printed;
    },
    block: () => this.#block(),
    autoescape: () => {
      throw notSupported('{% autoescape %}');
    },
    generation: () => ({ kind: 'generation', body: this.#inside('endgeneration').body }),
    break: () => ({ kind: 'break' }),
    continue: () => ({ kind: 'continue' }),
  };

  #if(): Statement {
    const branches: { test: Expression; body: Statement[] }[] = [];
    for (;;) {
      const test = this.tuple({ withCondition: false });
      const { body, end } = this.#inside('elif', 'else', 'endif');
      branches.push({ test, body });
      if (end === 'elif') continue;
      return { kind: 'if', branches, otherwise: end === 'else' ? this.#inside('endif').body : [] };
    }
  }

  #for(): Statement {
    const target = this.#target({ end: 'in' });
    this.stream.expect('name', 'in');
    const iterable = this.tuple({ withCondition: false, end: 'recursive' });
    const test = this.stream.skipName('if') ? this.expression() : undefined;
    const isRecursive = this.stream.skipName('recursive');
    const { body, end } = this.#inside('endfor', 'else');
    const otherwise = end === 'else' ? this.#inside('endfor').body : [];
    return { kind: 'for', target, iterable, test, isRecursive, body, otherwise };
  }

  #set(): Statement {
    const target = this.#target({ withNamespace: true });
    if (this.stream.skipOperator('=')) return { kind: 'set', target, value: this.tuple() };
    const filter = this.filters(undefined);
    return { kind: 'setBlock', target, filter, body: this.#inside('endset').body };
  }

  #with(): Statement {
    const assignments: [Target, Expression][] = [];
    while (this.stream.current.type !== 'block_end') {
      if (assignments.length > 0) this.stream.expect('operator', ',');
      const target = this.#target({});
      this.stream.expect('operator', '=');
      assignments.push([target, this.expression()]);
    }
    return { kind: 'with', assignments, body: this.#inside('endwith').body };
  }

  #block(): Statement {
    const { value: name } = this.stream.expect('name');
    const isScoped = this.stream.skipName('scoped');
    const isRequired = this.stream.skipName('required');
    const { body } = this.#inside('endblock');
    this.stream.skipName(name);
    return { kind: 'block', name, isScoped, isRequired, body };
  }

  #signature(): Signature {
    const parameters: string[] = [];
    const defaults: Expression[] = [];
    this.stream.expect('operator', '(');
    while (!this.stream.isOperator(')')) {
      if (parameters.length > 0) this.stream.expect('operator', ',');
      const name = this.stream.expect('name');
      this.#checkAssignable(name.value);
      if (parameters.includes(name.value)) throw this.stream.error('duplicate argument', name);
      parameters.push(name.value);
      if (this.stream.skipOperator('=')) defaults.push(this.expression());
      else if (defaults.length > 0) throw this.stream.error('non-default argument follows default argument');
    }
    this.stream.expect('operator', ')');
    return { parameters, defaults };
  }

  #target({ end, withNamespace = false }: { end?: string; withNamespace?: boolean }): Target {
    const items: Target[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) this.stream.expect('operator', ',');
      if (this.isTupleEnd(end)) break;
      items.push(this.#singleTarget(withNamespace));
      if (!this.stream.isOperator(',')) break;
      isTuple = true;
    }
    if (isTuple) return { kind: 'tuple', items };
    if (items.length === 0)
      throw this.stream.error(`Expected an expression, got '${describe(this.stream.current)}'`);
    return items[0]!;
  }

  #singleTarget(withNamespace: boolean): Target {
    if (this.stream.skipOperator('(')) {
      const items: Target[] = [];
      let hasComma = false;
      while (!this.stream.isOperator(')')) {
        items.push(this.#singleTarget(false));
        if (!this.stream.skipOperator(',')) break;
        hasComma = true;
      }
      this.stream.expect('operator', ')');
      return items.length === 1 && !hasComma ? items[0]! : { kind: 'tuple', items };
    }
    const { value: name } = this.stream.expect('name');
    if (withNamespace && this.stream.skipOperator('.')) {
      return { kind: 'attribute', object: name, name: this.stream.expect('name').value };
    }
    this.#checkAssignable(name);
    return { kind: 'name', name };
  }

  #checkAssignable(name: string): void {
    if (isConstantName(name)) throw this.stream.error(`can't assign to '${name}'`);
  }
}
