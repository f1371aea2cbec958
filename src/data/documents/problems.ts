import { InputError } from '../../errors.js';

/** A document that can't be read, or a file that can't be read any further: skipped on request. */
export class BadDocument extends InputError {}

/** What is wrong with a document, without saying where it is. */
export class Problem extends Error {
  /** Of the content that breaks off or is damaged: nothing after this place can be read. */
  readonly endsFile: boolean;

  constructor(message: string, { endsFile = false } = {}) {
    super(message);
    this.endsFile = endsFile;
  }
}
