const SPECIAL = /[*?[{]/;

export const isGlob = (path: string): boolean => SPECIAL.test(path);

/** The folder that a pattern's matches lie under: its parts before the first special one. */
export function fixedPart(pattern: string): string {
  const parts = pattern.split('/');
  const first = parts.findIndex((part) => SPECIAL.test(part));
  return parts.slice(0, first < 0 ? parts.length : first).join('/');
}

/** `*` and `?` stay inside a folder, `**` goes through folders; `[a-c]`, `[!a]`, `{one,two}`. */
export function matcher(pattern: string): (path: string) => boolean {
  let text = '';
  let [inBraces, at] = [false, 0];
  while (at < pattern.length) {
    const rest = pattern.slice(at);
    const set = /^\[(!?)([^\]/]+)\]/.exec(rest);
    const through = /^\*\*(\/|$)/.exec(rest);
    if (through) text += through[1] ? '(?:[^/]+/)*' : '.*';
    else if (set) text += `[${set[1] ? '^/' : ''}${set[2]!.replace(/[\\^]/g, '\\$&')}]`;
    else if (rest[0] === '*') text += '[^/]*';
    else if (rest[0] === '?') text += '[^/]';
    else if (rest[0] === '{' && rest.includes('}')) [text, inBraces] = [`${text}(?:`, true];
    else if (rest[0] === '}' && inBraces) [text, inBraces] = [`${text})`, false];
    else if (rest[0] === ',' && inBraces) text += '|';
    else text += rest[0]!.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&');
    at += through?.[0].length ?? set?.[0].length ?? 1;
  }
  const expression = new RegExp(`^${text}$`, 's');
  return (path) => expression.test(path);
}
