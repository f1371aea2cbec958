/** A template that is none, or one that raises where it is rendered. The message is Python's where Python has one. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

/** What Python's Jinja2 can do and this one does not: refused, never rendered otherwise. */
export const notSupported = (what: string): TemplateError => new TemplateError(`${what} is not supported`);
