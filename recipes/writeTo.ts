import { writeFileSync } from 'node:fs';
import { InputError } from '#src/base/errors.js';
import { systemCode } from '#src/formats/json.js';

/** Writes a file that was named on the command line. @throws InputError where that can't be */
export function writeTo(path: string, content: string): void {
  try {
    writeFileSync(path, content);
  } catch (error) {
    throw new InputError(
      `${path}: expected a file to write, found ${systemCode(error)}; check the folder and its permissions`,
    );
  }
}
