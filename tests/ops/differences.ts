/** The gradient of `loss` in x by central differences; x is changed in place and restored. */
export function centralDifferences(loss: () => number, x: Float64Array, step = 1e-5): Float64Array {
  return x.map((value, i) => {
    x[i] = value + step;
    const above = loss();
    x[i] = value - step;
    const below = loss();
    x[i] = value;
    return (above - below) / (2 * step);
  });
}

/** The largest error relative to the largest expected element; NaN where an element is. */
export function relativeError(actual: Float64Array, expected: Float64Array): number {
  const largest = (values: Float64Array) => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  return largest(actual.map((value, i) => value - expected[i]!)) / largest(expected);
}
