import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ExactNumber, KEY_ORDER, parseExactly } from '#src/data/documents/exactJson.js';

const exact = suite('JSON, exactly');
const read = (json: string): unknown => parseExactly(json, JSON.parse(json));

exact('numbers that JavaScript would change keep their text', () => {
  for (const text of [
    '12345678901234567890',
    '-9007199254740993',
    '1.0',
    '-0.0',
    '1e5',
    '1E+5',
    '1e22',
    '0e1',
    '1.5e3',
  ]) {
    const found = (read(`[${text}]`) as unknown[])[0];
    assert.instance(found, ExactNumber, text);
    assert.is((found as ExactNumber).text, text);
    assert.is(JSON.stringify([found]), JSON.stringify(JSON.parse(`[${text}]`)));
  }
  for (const text of ['0', '-0', '7', '-12', '1.5', '1e-7', '9007199254740991', '0.10', '1e999']) {
    assert.is((read(`[${text}]`) as unknown[])[0], Number(text), text);
  }
});

exact('texts that look like numbers stay texts, whatever is around them', () => {
  const json = '{"a":"1.0, 12345678901234567890","b":"\\"1.0\\\\","1.0":"x","c":[1.0,"\\ue000"],"\ue000d":2}';
  const found = read(json) as Record<string, unknown>;
  assert.equal(JSON.stringify(found), JSON.stringify(JSON.parse(json)));
  assert.instance((found.c as unknown[])[0], ExactNumber);
});

exact('keys are in the order of the file, also those that are numbers', () => {
  const found = read('{"b":1,"10":2,"2":{"x":1.0,"1":3}}') as Record<string | symbol, unknown>;
  assert.equal(found[KEY_ORDER], ['b', '10', '2']);
  assert.equal((found['2'] as Record<symbol, unknown>)[KEY_ORDER], ['x', '1']);
  assert.is((read('{"b":1,"a":2}') as Record<symbol, unknown>)[KEY_ORDER], undefined);
});

exact('everything else is as JSON.parse has it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const json = JSON.stringify(value);
      assert.is(JSON.stringify(read(json)), JSON.stringify(JSON.parse(json)));
    }),
  );
});

exact.run();
