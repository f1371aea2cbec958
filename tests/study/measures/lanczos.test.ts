import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { largestEigenvalue } from '#src/study/measures/lanczos.js';
import { largestOfTridiagonal } from '#src/study/measures/tridiagonal.js';
import { Random } from '../../ops/cases.js';

const N = 60;
const lanczos = suite('lanczos');

/** Products with Q diag(values) Q^T, Q a product of reflections: a matrix whose eigenvalues are known. */
function matrixWith(values: readonly number[]) {
  const random = new Random(3);
  const mirrors = Array.from({ length: 5 }, () => {
    const v = Float64Array.from({ length: values.length }, () => random.normal());
    const length = Math.hypot(...v);
    return v.map((x) => x / length);
  });
  const reflected = (x: Float64Array, order: readonly Float64Array[]) =>
    order.reduce((y, mirror) => {
      const along = mirror.reduce((sum, m, i) => sum + m * y[i]!, 0);
      return y.map((value, i) => value - 2 * along * mirror[i]!);
    }, x);
  return async (v: Float32Array): Promise<Float32Array> => {
    const inside = reflected(Float64Array.from(v), mirrors).map((x, i) => x * values[i]!);
    return Float32Array.from(reflected(inside, mirrors.toReversed()));
  };
}

lanczos(
  'finds the largest eigenvalue, not the one largest in size, as near as its residual says',
  async () => {
    const values = Array.from({ length: N }, (_, i) => (i === 7 ? 5 : i === 20 ? -40 : Math.sin(i)));
    for (const iterations of [4, 8, 30]) {
      const found = await largestEigenvalue(N, matrixWith(values), { iterations, tolerance: 0, seed: 1 });
      assert.is(found.iterations, iterations);
      const nearest = Math.min(...values.map((value) => Math.abs(value - found.value)));
      assert.ok(nearest <= found.residual + 1e-5, `${found.value} +- ${found.residual}`);
      assert.ok(found.value <= 5 + 1e-5);
      if (iterations === 30) assert.ok(Math.abs(found.value - 5) < 1e-5, `${found.value}`);
    }
  },
);

lanczos('stops once the residual is small enough, and gives the same again', async () => {
  const values = Array.from({ length: N }, (_, i) => (i === 0 ? 10 : 1 / (i + 1)));
  const options = { iterations: N, tolerance: 1e-3, seed: 2 };
  const found = await largestEigenvalue(N, matrixWith(values), options);
  assert.ok(found.iterations < 12 && found.residual <= 1e-3 * found.value, JSON.stringify(found));
  assert.ok(Math.abs(found.value - 10) < 1e-5);
  assert.equal(await largestEigenvalue(N, matrixWith(values), options), found);
});

lanczos('ends where nothing is left: a multiple of 1, zeros, one number', async () => {
  const options = { iterations: 20, tolerance: 1e-3, seed: 0 };
  const same = await largestEigenvalue(5, matrixWith([3, 3, 3, 3, 3]), options);
  assert.ok(Math.abs(same.value - 3) < 1e-6 && same.iterations === 1);
  assert.equal(await largestEigenvalue(3, async (v) => v.map(() => 0), options), {
    ...{ value: 0, residual: 0, iterations: 1 },
  });
  assert.is((await largestEigenvalue(1, async (v) => v.map((x) => -2 * x), options)).value, -2);
});

lanczos.run();

const tridiagonal = suite('largest eigenvalue of a tridiagonal matrix');

tridiagonal('is that of the second difference, with its vector', () => {
  for (const k of [1, 2, 3, 10, 64]) {
    const { value, last } = largestOfTridiagonal(Array(k).fill(2), Array(k - 1).fill(-1));
    assert.ok(Math.abs(value - (2 + 2 * Math.cos(Math.PI / (k + 1)))) < 1e-12, `${k}: ${value}`);
    const expected = Math.sqrt(2 / (k + 1)) * Math.sin((Math.PI * k) / (k + 1));
    assert.ok(Math.abs(Math.abs(last) - expected) < 1e-10, `${k}: ${last}`);
  }
});

tridiagonal('of parts that do not touch is the larger one', () => {
  const { value, last } = largestOfTridiagonal([1, 4, -9], [0, 0]);
  assert.equal([value, Math.abs(last)], [4, 0]);
});

tridiagonal.run();
