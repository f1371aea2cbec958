import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { byLayers } from '#src/formats/tensorNames.js';

const up = (layer: number) => `model.layers.${layer}.mlp.up_proj.weight`;

test('names that differ by the layer alone are one, with ranges of layers, in the order they came', () => {
  const names = ['model.norm.weight', up(0), up(2), 'model.layers.1.mlp.down_proj.weight', up(1), up(11)];
  assert.equal(byLayers(names), [
    'model.norm.weight',
    'model.layers.{0-2,11}.mlp.up_proj.weight',
    'model.layers.1.mlp.down_proj.weight',
  ]);
});

test('every layer of a large model in one short text', () => {
  const [text, ...more] = byLayers(Array.from({ length: 80 }, (_, layer) => up(layer)));
  assert.is(text, 'model.layers.{0-79}.mlp.up_proj.weight');
  assert.equal(more, []);
});

test('nothing stays nothing', () => assert.equal(byLayers([]), []));

test.run();
