/** Letters that say which name was begun. */
const SHORTEST_PREFIX = 2;
const MOST_EDITS = 3;
/** Of the longer name: beyond it the two have nothing to do with each other. */
const MOST_EDITED_SHARE = 0.5;

/** What to say of an option that does not exist, with the one that was probably meant. */
export function unknownOption(name: string, names: readonly string[]): string {
  const nearest = nearestName(name, names);
  return `unknown option ${name}; ${nearest === undefined ? 'see --help' : `did you mean ${nearest}?`}`;
}

/**
 * The shortest name that goes on as `name` begins (`--seq`: `--sequence`), else the one that takes the fewest edits to
 * get to; undefined when none is near. Case and leading dashes do not count.
 */
export function nearestName(name: string, names: readonly string[]): string | undefined {
  const wanted = bare(name);
  if (wanted.length >= SHORTEST_PREFIX) {
    const longer = names.filter((known) => bare(known).startsWith(wanted));
    if (longer.length > 0) return longer.reduce((a, b) => (b.length < a.length ? b : a));
  }
  const distances = names.map((known) => editDistance(wanted, bare(known)));
  const least = Math.min(...distances);
  const nearest = names[distances.indexOf(least)];
  if (nearest === undefined || least > MOST_EDITS) return undefined;
  const length = Math.max(wanted.length, bare(nearest).length);
  return least / length <= MOST_EDITED_SHARE ? nearest : undefined;
}

const bare = (name: string): string => name.toLowerCase().replace(/^-+/, '');

/** Letters to add, leave out or exchange (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const exchanged = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(exchanged, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row.at(-1)!;
}
