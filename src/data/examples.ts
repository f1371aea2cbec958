import { createHash } from 'node:crypto';

/** A turn of a conversation; a model's chat template may read more fields than these. */
export interface Message {
  readonly role: string;
  readonly content?: unknown;
  readonly [field: string]: unknown;
}

/** Turns in order. */
export interface Conversation {
  readonly messages: readonly Message[];
  /** Functions that the assistant may call, as JSON schemas. */
  readonly tools?: readonly unknown[];
  /** Turns at the start that are only read, whoever speaks; default: 0. */
  readonly given?: number;
}

/** What is given, and what is to be learned. */
export interface PromptCompletion {
  readonly prompt: string;
  readonly completion: string;
}

/** What is asked about a meeting, and what is to be learned. */
export interface MeetingQuery {
  readonly query: string;
  readonly answer: string;
  /** Turns as lines, `SPEAKER: WORDS`: the relevant ones, or all of the meeting. */
  readonly transcript: string;
}

/** Token ids, and which of them are to be learned. */
export interface Encoded {
  readonly tokens: Uint32Array;
  /** [tokens] 1 where a token is to be predicted, 0 where it is only read; absent where all are. */
  readonly learned?: Uint8Array | undefined;
}

/** An example that was encoded before, with what its source was: UTF-8 bytes and `fractionOf`. */
export interface EncodedExample extends Encoded {
  readonly bytes: number;
  readonly fraction: number;
  /** Whether it was text, of which any part teaches something; default: where it has no mask. */
  readonly isText?: boolean;
}

/** What a document holds. */
export type Example = string | Conversation | PromptCompletion | MeetingQuery | EncodedExample;

/** Whether all of it is to be learned, wherever it goes on: nothing in it asks or answers. */
export const isText = (example: Example): boolean =>
  typeof example === 'string' || ('tokens' in example && (example.isText ?? example.learned === undefined));

/** UTF-8 bytes of what was read. */
export function bytesOf(example: Example): number {
  if (typeof example === 'string') return Buffer.byteLength(example);
  return 'tokens' in example ? example.bytes : Buffer.byteLength(JSON.stringify(example));
}

/** A hash of what was read, uniform in [0, 1). Of a query about a meeting it is the same, however much of that is read. */
export function fractionOf(example: Example): number {
  if (typeof example !== 'string' && 'tokens' in example) return example.fraction;
  const text = typeof example === 'string' ? example : JSON.stringify(withoutTranscript(example));
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}

const withoutTranscript = (example: Conversation | PromptCompletion | MeetingQuery): object =>
  'query' in example ? { query: example.query, answer: example.answer } : example;
