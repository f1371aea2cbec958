import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCorpora, toJsonl } from '#recipes/miniature/corpora.js';

const SIZES = { heldOut: 500, corpus: 3000, student: 3000, teacher: 8000, general: 100, examples: 1000 };
const corpora = makeCorpora(SIZES);

const suiteOf = suite('miniature/corpora');

suiteOf('each text has its size and shares no document with another', () => {
  const owners = new Map<string, string>();
  for (const [name, texts] of Object.entries(corpora)) {
    assert.is(texts.length, SIZES[name as keyof typeof SIZES]);
    for (const text of texts) {
      assert.is(owners.get(text) ?? name, name, text);
      owners.set(text, name);
    }
  }
});

suiteOf('the held-out text does not depend on the sizes of the others', () => {
  const few = { student: 10, teacher: 10, general: 10, examples: 10 };
  const other = makeCorpora({ heldOut: 500, corpus: 10, ...few });
  assert.equal(other.heldOut, corpora.heldOut);
  assert.equal(other.corpus, corpora.corpus.slice(0, 10));
});

suiteOf('a line of .jsonl is a document', () => {
  assert.is(toJsonl(['a\nb', '"c"']), '{"text":"a\\nb"}\n{"text":"\\"c\\""}\n');
});

suiteOf.run();
