import { readFileSync } from 'node:fs';
import { InputError } from '../../base/errors.js';
import { systemCode } from '../../formats/json.js';
import { Problem } from './problems.js';
import { countNewlines } from './splitter.js';
import { decode } from './text.js';

/**
 * The text of a file that is read at once, without a byte order mark.
 * @param what the file is expected to be, for messages
 * @throws InputError for a file that can't be read, or with the line and byte of what is no UTF-8
 */
export function readWhole(path: string, what: string): string {
  const bytes = bytesOf(path, what);
  try {
    return decode(bytes).replace(/^\ufeff/, '');
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { message, offset } = error;
    const line = 1 + countNewlines(bytes.subarray(0, offset));
    throw new InputError(`${path}: line ${line}, byte ${offset}: ${message}`);
  }
}

function bytesOf(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new InputError(
      `${path}: expected ${what}, could not read one (${systemCode(error)}); check the path`,
    );
  }
}
