/** The number of a layer in a tensor's name: `model.layers.12.mlp.up_proj.weight`. */
const LAYER = /\.layers\.(\d+)\./;

/**
 * What differs by nothing but the layer it speaks of, as one: `model.layers.{0-11,13}.mlp.up_proj.weight is missing`.
 * Errors that concern a whole model stay readable this way.
 */
export function byLayers(texts: Iterable<string>): string[] {
  const layers = new Map<string, number[]>();
  for (const text of texts) {
    const layer = LAYER.exec(text)?.[1];
    const pattern = layer === undefined ? text : text.replace(LAYER, '.layers.{}.');
    const known = layers.get(pattern) ?? [];
    if (layer !== undefined) known.push(Number(layer));
    layers.set(pattern, known);
  }
  return [...layers].map(([pattern, numbers]) => {
    const which = numbers.length === 1 ? String(numbers[0]) : `{${ranges(numbers)}}`;
    return numbers.length === 0 ? pattern : pattern.replace('{}', which);
  });
}

/** `0-3,5,7-8` */
function ranges(numbers: readonly number[]): string {
  const parts: [first: number, last: number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const part = parts.at(-1);
    if (part && number === part[1] + 1) part[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',');
}
