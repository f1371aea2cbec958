type Node = Record<string, unknown>;

const SIDES: Readonly<Record<string, { readonly left: boolean; readonly right: boolean }>> = {
  strip: { left: true, right: true },
  lstrip: { left: true, right: false },
  rstrip: { left: false, right: true },
};

/** Names no template uses. */
const nameOf = (method: string): string => `rivulet_${method}`;

/**
 * Has a parsed template call `STRIP_FUNCTIONS` for `text.strip(characters)`: @huggingface/jinja strips white space,
 * whatever the characters.
 */
export function callStrips(node: unknown): void {
  if (typeof node !== 'object' || node === null) return;
  const { type, callee, args } = node as Node;
  const { type: calleeType, property, object, computed } = (callee ?? {}) as Node;
  const method = (property as Node | undefined)?.value;
  const isStrip = typeof method === 'string' && Object.hasOwn(SIDES, method) && !computed;
  if (type === 'CallExpression' && calleeType === 'MemberExpression' && isStrip) {
    const given = args as unknown[];
    if (given.length === 1) {
      Object.assign(node, {
        callee: { type: 'Identifier', value: nameOf(method) },
        args: [object, ...given],
      });
    }
  }
  for (const child of Object.values(node)) callStrips(child);
}

/** Variables for the templates. */
export const STRIP_FUNCTIONS: Readonly<Record<string, unknown>> = Object.fromEntries(
  Object.entries(SIDES).map(([method, { left, right }]) => [
    nameOf(method),
    (text: string, characters: string): string => {
      const units = [...text];
      const isKept = (unit: string) => !characters.includes(unit);
      const start = left ? units.findIndex(isKept) : 0;
      const end = right ? units.findLastIndex(isKept) + 1 : units.length;
      return start < 0 ? '' : units.slice(start, end).join('');
    },
  ]),
);
