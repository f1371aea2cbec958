import { InputError } from '../../base/errors.js';

/** A document that can't be read, or a file that can't be read any further: skipped on request. */
export class BadDocument extends InputError {}

interface ProblemOptions {
  /** Nothing after it can be read: the content breaks off or is damaged. */
  readonly endsFile?: boolean;
  /** Bytes from the start of the piece to what is wrong. */
  readonly offset?: number;
}

/** What is wrong with a document or file: expected, found, what to do. Where it is, others know. */
export class Problem extends Error {
  readonly endsFile: boolean;
  readonly offset: number;

  constructor(message: string, { endsFile = false, offset = 0 }: ProblemOptions = {}) {
    super(message);
    this.endsFile = endsFile;
    this.offset = offset;
  }
}
