import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { both, expectSameOnNastyText } from './differential.js';
import { byteTokens, sentencePiece, sentencePieceDecoder, tokenizerFolder } from './vocabularies.js';

/** Components in orders that home-made and other families' files have, against the Hugging Face library. */

const symbols = ['▁', 'a', 'b', 'c', 'e', ...'Thword', ...byteTokens];
const merges = ['a b', '▁ a', '▁a b', 'ab ab', '▁ ▁'];
const [replace, byteFallback, fuse, strip] = sentencePieceDecoder.decoders;
const decoders = (...steps: unknown[]) => ({ type: 'Sequence', decoders: steps as object[] });
const metaspace = (prepend_scheme: string, split = true) => ({
  ...{ type: 'Metaspace', replacement: '▁', prepend_scheme, split },
});
const cut = (pattern: object, behavior = 'Isolated') => ({ type: 'Split', pattern, behavior, invert: false });
const pretokenizers = (...steps: object[]) => ({ type: 'Sequence', pretokenizers: steps });
const digits = { type: 'Digits', individual_digits: true };

const RECIPES: Record<string, Partial<Record<'decoder' | 'normalizer' | 'pre_tokenizer', object | null>>> = {
  'no decoder': { decoder: null },
  'an empty sequence of decoders': { decoder: decoders() },
  'Replace, Strip, ByteFallback, Fuse': { decoder: decoders(replace, strip, byteFallback, fuse) },
  'Strip, Replace, Strip': { decoder: decoders({ ...strip, content: '▁', start: 2 }, replace, strip) },
  'Strip alone': { decoder: strip as object },
  'Strip on both sides of Fuse': { decoder: decoders(replace, strip, byteFallback, fuse, strip) },
  'Metaspace, then Split': {
    normalizer: null,
    pre_tokenizer: pretokenizers(metaspace('always', false), cut({ Regex: '[ab]+|▁' })),
  },
  'Metaspace for the first text, then Split and Digits': {
    normalizer: null,
    pre_tokenizer: pretokenizers(metaspace('first'), cut({ String: 'a' }, 'MergedWithNext'), digits),
  },
  'Split, then Metaspace, then Split': {
    normalizer: null,
    pre_tokenizer: pretokenizers(cut({ String: 'b' }, 'Removed'), metaspace('first'), cut({ String: '▁' })),
  },
  'Metaspace that prepends nothing, then Digits': {
    normalizer: null,
    pre_tokenizer: pretokenizers(metaspace('never'), digits),
  },
};

for (const [what, parts] of Object.entries(RECIPES)) {
  test(what, async () => {
    const pair = await both(
      tokenizerFolder({ ...sentencePiece({ symbols, merges }), ...parts } as ReturnType<
        typeof sentencePiece
      >),
    );
    await expectSameOnNastyText(pair, 600);
    const ids = pair.ours.encode(' ab\tabab 12  😀é b');
    const decoder = pair.ours.decoder();
    assert.is(Array.from(ids, (id) => decoder.push(id)).join('') + decoder.end(), pair.ours.decode(ids));
  });
}

test.run();
