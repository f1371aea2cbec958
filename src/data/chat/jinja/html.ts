import { str } from './printing.js';
import { Markup, type Value } from './values.js';

/** markupsafe: texts that are HTML. */

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&#39;',
  '"': '&#34;',
};

export const escapeHtml = (text: string): string =>
  text.replace(/[&<>'"]/g, (character) => ENTITIES[character]!);

/** escape(value): what is marked stays as it is. @throws TemplateError */
export const escaped = (value: Value): Markup =>
  value instanceof Markup ? value : new Markup(escapeHtml(str(value)));
