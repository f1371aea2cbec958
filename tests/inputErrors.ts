import * as assert from 'uvu/assert';
import { InputError } from '#src/base/errors.js';

/** The message of the InputError that `run` throws or rejects with; every such message is one line. */
export async function inputErrorOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    assert.instance(error, InputError);
    const { message } = error as InputError;
    assert.not.match(message, /\p{Cc}/u);
    return message;
  }
  return assert.unreachable('expected an InputError, found none') as never;
}
