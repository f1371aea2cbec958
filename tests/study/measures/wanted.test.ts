import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { measuresSchema } from '#src/study/measures/wanted.js';

const wanted = suite('what measures a study wants');

wanted('nothing unless it is said', () => {
  assert.equal(measuresSchema.parse({}), { examples: {}, sharpness: false, dynamics: true });
  const all = {
    ...{ unrelated: 'a.jsonl', examples: { 'sums-1': 'b.jsonl' } },
    ...{ sharpness: true, dynamics: false },
  };
  assert.equal(measuresSchema.parse(all), all);
});

wanted('refuses what is no measure, no path and no name', () => {
  const problem = (value: unknown) => measuresSchema.safeParse(value).error?.issues[0]?.message ?? 'none';
  assert.match(problem({ forgeting: 'a' }), 'forgeting');
  assert.is(problem({ unrelated: '' }), 'expected a path');
  assert.is(problem({ sharpness: 'yes' }), 'expected true or false');
  assert.not.equal(problem({ examples: { 'a.b': 'x' } }), 'none');
});

wanted.run();
