import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { TemplateError } from '#src/data/chat/jinja/errors.js';
import { fromJson } from '#src/data/chat/jinja/fromJson.js';
import { parse } from '#src/data/chat/jinja/parser.js';
import { Template } from '#src/data/chat/jinja/template.js';
import type { Value } from '#src/data/chat/jinja/values.js';
import { parseExactly } from '#src/data/documents/exactJson.js';
import { projectRoot, sharedPath } from '../../support.js';

/** The evaluator of Jinja2, against what Python's gave. */

type Variables = (readonly [string, Value])[];

const NONE: Variables = [
  ['tools', null],
  ['documents', null],
  ['add_generation_prompt', false],
];

/** Undefined stands for a refusal, whose reason is kept. */
function outcomeOf(template: string, variables: Variables): { text?: string; reason?: string } {
  try {
    return { text: new Template(template).render([...NONE, ...variables]) };
  } catch (error) {
    assert.instance(error, TemplateError, `${template}: ${(error as Error).stack}`);
    return { reason: (error as Error).message };
  }
}

function readExactly(path: string): unknown {
  const json = readFileSync(path, 'utf8');
  return parseExactly(json, JSON.parse(json));
}

/** What Python renders and this evaluator refuses, by name. */
const NOT_SUPPORTED = [
  "{{ 'x'.encode() }}",
  '{{ lipsum(1) }}',
  '{{ (-8)**0.5 }}',
  "{{ '\\N{BULLET}' }}",
  '{% autoescape false %}{{ tags }}{% endautoescape %}',
  '{{ self }}',
];

const goldens = suite("as Python's Jinja2");

goldens('letters whose title case is several characters', () => {
  const cases = { ŉ: 'ʼN', ᾲ: '\u1fba\u0345', ῷ: '\u03a9\u0342\u0345', ŉŉ: 'ʼNŉ', ﬃ: 'Ffi', ß: 'Ss' };
  for (const [text, expected] of Object.entries(cases)) {
    assert.is(outcomeOf(`{{ '${text}'.capitalize() }}`, []).text, expected, text);
  }
});

goldens('features one by one, and random expressions', () => {
  const golden = readExactly(join(projectRoot, 'tests/goldens/jinja/expected.json'));
  const { data, cases } = golden as { data: object; cases: [string, string | null][] };
  const variables = Object.entries(data).map(([name, value]) => [name, fromJson(value)] as const);
  const refused: string[] = [];
  for (const [template, expected] of cases) {
    const { text, reason = '' } = outcomeOf(template, variables);
    if (text === undefined && expected !== null) {
      assert.match(reason, /not supported/, template);
      refused.push(template);
    } else assert.is(text ?? null, expected, `${template} ${reason}`);
  }
  assert.ok(cases.length > 1300);
  assert.equal(refused.sort(), [...NOT_SUPPORTED].sort());
});

const cases = sharedPath('cases/jinja.jsonl');
const hasCases = cases !== undefined && existsSync(cases);
if (!hasCases) console.log('skipped: the cases of the shared data are not there');

(hasCases ? goldens : goldens.skip)('the cases of the shared data', () => {
  const lines = readFileSync(cases!, 'utf8').split('\n');
  const wrong: string[] = [];
  for (const line of lines.filter((text) => text !== '')) {
    const found = parseExactly(line, JSON.parse(line)) as {
      readonly id: string;
      readonly template: string;
      readonly messages: unknown;
      readonly expected: string | null;
    };
    const { text } = outcomeOf(found.template, [['messages', fromJson(found.messages)]]);
    if ((text ?? null) !== found.expected) wrong.push(found.id);
  }
  assert.equal(wrong, []);
});

goldens.run();

const bounds = suite('a template without end');

const OVER = '{% for i in range(100000) %}';
for (const [template, reason] of Object.entries({
  [`${OVER}${OVER}{% endfor %}{% endfor %}`]: /more than \d+ steps/,
  [`${OVER}${OVER}{{ i }}{% endfor %}{% endfor %}`]: /more than \d+ (steps|characters)/,
  '{{ range(1000000) }}': /Range too big/,
  [`{% set n = namespace(s='x') %}${OVER}{% set n.s = n.s ~ n.s %}{% endfor %}`]: /more than \d+ characters/,
  [`{% set n = namespace(s=[1]) %}${OVER}{% set n.s = n.s + n.s %}{% endfor %}`]: /more than \d+ elements/,
  [`{% set n = namespace(s=3) %}${OVER}{% set n.s = n.s * n.s %}{% endfor %}`]: /more than \d+ bits/,
  [`{% set n = namespace(s=[]) %}${OVER}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}`]: /recursion|steps/,
  [`${OVER}{{ 'a' * 100000 }}{% endfor %}`]: /more than \d+ characters/,
  [`${OVER}{% if range(100000)|list == range(100000)|list %}{% endif %}{% endfor %}`]: /more than \d+ steps/,
  [`{% set a = 'é😀' * 100000 %}${OVER}{% if a[i] %}{% endif %}{% endfor %}`]: /more than \d+ steps/,
  '{% macro f(x) %}{{ f(x) }}{{ f(x) }}{% endmacro %}{{ f(1) }}': /recursion/,
  '{% macro f(x) %}{% if x %}{{ f(x - 1) }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(60) }}': /steps/,
  [`{% set a = 'é😀' * 100000 %}${OVER}{% if a[::-1] %}{% endif %}{% endfor %}`]: /more than \d+ steps/,
  [`{% set a = 'é ' * 100000 %}${OVER}{% if a.title() %}{% endif %}{% endfor %}`]: /more than \d+ steps/,
  "{{ '%1000000000d' % 1 }}": /more than \d+ characters/,
  "{{ '{:>99999999999}'.format(1) }}": /more than \d+ characters/,
  "{{ 'a'.center(99999999999) }}": /more than \d+ characters/,
  '{{ 9 ** 9 ** 9 ** 9 ** 9 ** 9 }}': /more than \d+ bits/,
})) {
  bounds(`is refused within seconds: ${template.slice(0, 70)}`, () => {
    const before = process.cpuUsage();
    assert.match(outcomeOf(template, []).reason!, reason);
    // Of the processor: the machine may be busy with other things.
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 10e6, `${(user + system) / 1e6} s`);
  });
}

bounds('deep ones do not exhaust the stack', () => {
  for (const [open, close] of [
    ['(', ')'],
    ['[', ']'],
    ['-', ''],
    ['not ', ''],
  ] as const) {
    const { reason } = outcomeOf(`{{ ${open.repeat(5000)}1${close.repeat(5000)} }}`, []);
    assert.match(reason!, /too many levels|recursion/);
  }
  assert.match(outcomeOf(`{{ 1${' + 1'.repeat(50_000)} }}`, []).reason!, /too many levels|recursion/);
  assert.match(outcomeOf('{% if 1 %}'.repeat(5000), []).reason!, /too many levels|recursion/);
});

bounds('any text is a template or refused', () => {
  const pieces = [
    '{{',
    '}}',
    '{%',
    '%}',
    '{#',
    '#}',
    '-',
    ' if ',
    ' for x in ',
    'endfor',
    'endif',
    'x',
    '"',
    "'",
    '\\',
    '(',
    ')',
  ];
  const more = [
    '[',
    ']',
    '{',
    '}',
    '|',
    '.',
    ',',
    '1',
    '1.5',
    ' is ',
    ' in ',
    ' set ',
    '=',
    '\n',
    'raw',
    'endraw',
    'macro',
    '😀',
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces, ...more), { maxLength: 30 }), (parts) => {
      try {
        parse(parts.join(''));
      } catch (error) {
        assert.instance(error, TemplateError);
      }
    }),
    { numRuns: 2000 },
  );
});

bounds.run();
