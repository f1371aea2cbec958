import { TemplateError } from './errors.js';
import type { Kwargs, Value } from './values.js';

const parsed = new Map<string, readonly { readonly name: string; readonly isOptional: boolean }[]>();

function parametersOf(text: string) {
  let parameters = parsed.get(text);
  if (!parameters) {
    parameters = text
      .split(' ')
      .filter((name) => name !== '')
      .map((name) => ({ name: name.replace('?', ''), isOptional: name.endsWith('?') }));
    parsed.set(text, parameters);
  }
  return parameters;
}

/** Arguments by the order of the parameters. @throws TemplateError for those that do not fit */
export function bind(
  name: string,
  signature: string,
  args: readonly Value[],
  kwargs: Kwargs,
): (Value | undefined)[] {
  const parameters = parametersOf(signature);
  if (args.length > parameters.length) {
    throw new TemplateError(`${name}() takes at most ${parameters.length} arguments (${args.length} given)`);
  }
  const bound: (Value | undefined)[] = [...args];
  for (const [keyword, value] of kwargs) {
    const at = parameters.findIndex((parameter) => parameter.name === keyword);
    if (at < 0) throw new TemplateError(`${name}() got an unexpected keyword argument '${keyword}'`);
    if (at < args.length) throw new TemplateError(`${name}() got multiple values for argument '${keyword}'`);
    bound[at] = value;
  }
  for (const [i, parameter] of parameters.entries()) {
    if (bound[i] === undefined && !parameter.isOptional) {
      throw new TemplateError(`${name}() missing required argument '${parameter.name}'`);
    }
  }
  return bound;
}
