import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configSchema } from '#src/formats/configFile.js';
import { TRAIN_OPTIONS } from '#src/options/train.js';
import { projectRoot } from './support.js';

const path = join(projectRoot, 'docs/train.schema.json');
const schema = configSchema('A run of rivulet', TRAIN_OPTIONS) as {
  properties: Record<string, Record<string, unknown>>;
  patternProperties: Record<string, unknown>;
};

test('docs/train.schema.json is that of options.ts (UPDATE=1 rewrites it)', () => {
  const expected = `${JSON.stringify(schema, null, 2)}\n`;
  if (process.env.UPDATE) writeFileSync(path, expected);
  assert.fixture(readFileSync(path, 'utf8'), expected);
});

test('types, ranges, choices, defaults', () => {
  const { rank, lr, schedule, data, eos } = schema.properties;
  const { description, ...checks } = rank!;
  assert.is(description, TRAIN_OPTIONS.rank.help);
  assert.equal(checks, { type: 'integer', minimum: 1, default: 8 });
  assert.is(lr!.exclusiveMinimum, 0);
  assert.ok((schedule!.enum as string[]).includes('cosine'));
  assert.is((data!.anyOf as unknown[]).length, 2);
  assert.is(eos!.type, 'boolean');
});

test('every option has a type, and kebab-case names are allowed', () => {
  for (const [name, { type, anyOf }] of Object.entries(schema.properties)) assert.ok(type ?? anyOf, name);
  const [kebab] = Object.keys(schema.patternProperties);
  assert.match('lora-alpha', new RegExp(kebab!));
  assert.not.match('lora-beta', new RegExp(kebab!));
});

test.run();
