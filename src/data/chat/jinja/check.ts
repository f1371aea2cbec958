import { TemplateError } from './errors.js';
import { isFilter } from './filters.js';
import type { Expression, Macro, Signature, Slice, Statement, Target } from './nodes.js';
import { isTest } from './tests.js';

/** What Jinja2's compiler refuses before anything is rendered. */

interface Place {
  /** In an `if` or a conditional expression, where names of filters are looked up only when they are needed. */
  readonly isSoft: boolean;
  /** Where break and continue have a loop to act on. */
  readonly isInLoop: boolean;
  /** In a loop at any depth: the name loop is taken. */
  readonly loopIsTaken: boolean;
}

/** @throws TemplateError */
export function check(template: readonly Statement[]): void {
  checkBody(template, { isSoft: false, isInLoop: false, loopIsTaken: false }, new Set());
}

function checkBody(body: readonly Statement[], place: Place, blocks: Set<string>): void {
  for (const statement of body) {
    checkStatement(statement, place, blocks);
    for (const [inner, where] of bodiesOf(statement, place)) checkBody(inner, where, blocks);
  }
}

function checkStatement(statement: Statement, place: Place, blocks: Set<string>): void {
  const isSoft = place.isSoft || statement.kind === 'if';
  for (const expression of expressionsOf(statement)) checkExpression(expression, isSoft);
  for (const target of targetsOf(statement)) {
    checkTarget(target, statement.kind === 'for' || place.loopIsTaken);
  }
  const { kind } = statement;
  if (kind === 'macro' || kind === 'callBlock') checkSignature(statement);
  if (kind === 'block') {
    if (blocks.has(statement.name)) throw new TemplateError(`block '${statement.name}' defined twice`);
    blocks.add(statement.name);
  }
  if ((kind === 'break' || kind === 'continue') && !place.isInLoop) {
    throw new TemplateError(`'${kind}' outside loop`);
  }
}

type Bodies = readonly (readonly [body: readonly Statement[], place: Place])[];

function bodiesOf(statement: Statement, place: Place): Bodies {
  const inside = { ...place, isSoft: false };
  switch (statement.kind) {
    case 'if': {
      const bodies = [...statement.branches.map(({ body }) => body), statement.otherwise];
      return bodies.map((body) => [body, { ...place, isSoft: true }]);
    }
    case 'for':
      return [
        [statement.body, { ...inside, isInLoop: true, loopIsTaken: true }],
        [statement.otherwise, { ...inside, loopIsTaken: true }],
      ];
    case 'setBlock':
    case 'with':
    case 'filterBlock':
      return [[statement.body, inside]];
    case 'generation':
    case 'macro':
    case 'callBlock':
    case 'block':
      return [[statement.body, { ...inside, isInLoop: false }]];
    default:
      return [];
  }
}

function targetsOf(statement: Statement): readonly Target[] {
  if (statement.kind === 'with') return statement.assignments.map(([target]) => target);
  return 'target' in statement ? [statement.target] : [];
}

function checkTarget(target: Target, loopIsTaken: boolean): void {
  if (target.kind === 'tuple') for (const item of target.items) checkTarget(item, loopIsTaken);
  else if (target.kind === 'name' && target.name === 'loop' && loopIsTaken) {
    throw new TemplateError("Can't assign to special loop variable in for-loop target");
  }
}

function checkSignature({ parameters, defaults, body }: Signature & Pick<Macro, 'body'>): void {
  const at = parameters.indexOf('caller');
  if (at >= 0 && at < parameters.length - defaults.length && mentions(body, 'caller')) {
    throw new TemplateError(
      'When defining macros or call blocks the special "caller" argument must be omitted or be given a default.',
    );
  }
}

function expressionsOf(statement: Statement): readonly Expression[] {
  switch (statement.kind) {
    case 'print':
    case 'set':
      return [statement.value];
    case 'if':
      return statement.branches.map(({ test }) => test);
    case 'for':
      return statement.test ? [statement.iterable, statement.test] : [statement.iterable];
    case 'setBlock':
      return statement.filter ? [statement.filter] : [];
    case 'filterBlock':
      return [statement.filter];
    case 'with':
      return statement.assignments.map(([, value]) => value);
    case 'macro':
      return statement.defaults;
    case 'callBlock':
      return [...statement.defaults, statement.call];
    default:
      return [];
  }
}

/** Names of filters and tests that are none. */
function checkExpression(node: unknown, isSoft: boolean): void {
  if (Array.isArray(node)) for (const part of node) checkExpression(part, isSoft);
  else if (isSlice(node)) for (const part of Object.values(node)) checkExpression(part, isSoft);
  if (!isNode(node) || node.kind === 'constant') return;
  const expression = node as Expression;
  const isKnown =
    (expression.kind !== 'filter' || isFilter(expression.name)) &&
    (expression.kind !== 'test' || isTest(expression.name));
  if (!isKnown && !isSoft && 'name' in expression) {
    throw new TemplateError(`No ${expression.kind} named '${expression.name}'.`);
  }
  for (const part of Object.values(node)) checkExpression(part, isSoft || expression.kind === 'condition');
}

/** Whether a name is read anywhere in a part of a template, parts in parts included. */
export function mentions(node: unknown, name: string): boolean {
  if (Array.isArray(node)) return node.some((part) => mentions(part, name));
  if (typeof node !== 'object' || node === null) return false;
  if (isNode(node)) {
    if (node.kind === 'constant' || node.kind === 'block') return false;
    if (node.kind === 'name' && (node as { readonly name?: unknown }).name === name) return true;
  }
  return Object.values(node).some((part) => mentions(part, name));
}

const isSlice = (node: unknown): node is Slice => typeof node === 'object' && node !== null && 'stop' in node;
const isNode = (node: unknown): node is { readonly kind: string } =>
  typeof node === 'object' && node !== null && 'kind' in node;
