import { QMSUM_DEFAULTS, type QmsumOptions } from '../options/qmsum.js';
import type { Conversation, MeetingQuery, PromptCompletion } from './examples.js';
import type { Tokenizer } from './tokenizer.js';

type Encoder = Pick<Tokenizer, 'encode'>;

/** A query about a meeting as it is asked and answered: a text and its completion, or two turns of a conversation. */
export class MeetingPrompts {
  readonly #encoder: Encoder;
  readonly #options: QmsumOptions;
  /** Queries of one meeting follow one another. */
  #last: { readonly transcript: string; readonly kept: string } | undefined;

  constructor(encoder: Encoder, options: QmsumOptions = QMSUM_DEFAULTS) {
    this.#encoder = encoder;
    this.#options = options;
  }

  /** The words of LongBench's task `qmsum`, with as much of the transcript as is kept. */
  ask({ query, transcript }: MeetingQuery): string {
    return (
      'You are given a meeting transcript and a query containing a question or instruction. Answer the query in one or ' +
      `more sentences.\n\nTranscript:\n${this.#kept(transcript)}\n\nNow, answer the query based on the above meeting ` +
      `transcript in one or more sentences.\n\nQuery: ${query}\nAnswer:`
    );
  }

  /** What is learned of a query: its answer. */
  example(query: MeetingQuery): PromptCompletion | Conversation {
    const [prompt, { answer }] = [this.ask(query), query];
    if (this.#options.prompt === 'text') return { prompt, completion: ` ${answer}` };
    return {
      messages: [
        { role: 'user', content: prompt },
        { role: 'assistant', content: answer },
      ],
    };
  }

  #kept(transcript: string): string {
    const { tokens, keep } = this.#options;
    if (tokens === 'all') return transcript;
    if (this.#last?.transcript !== transcript) {
      this.#last = { transcript, kept: keptPart(transcript, keep, tokens, this.#encoder) };
    }
    return this.#last.kept;
  }
}

/** What stands for the words left out between two ends. */
const GAP = '\n...\n';

/**
 * As many whole words of a text as come to at most so many tokens: its first ones, its last ones, those in the middle, or
 * as many at the beginning as at the end. The white space between them stays as it is.
 */
export function keptPart(text: string, keep: QmsumOptions['keep'], tokens: number, encoder: Encoder): string {
  const fits = (part: string) => encoder.encode(part, { addSpecialTokens: false }).length <= tokens;
  if (fits(text)) return text;
  const words = Array.from(
    text.matchAll(/\S+/g),
    ({ index, 0: word }) => [index, index + word.length] as const,
  );
  const between = (from: number, to: number) =>
    from < to ? text.slice(words[from]![0], words[to - 1]![1]) : '';
  const parts: Readonly<Record<QmsumOptions['keep'], (count: number) => string>> = {
    head: (count) => between(0, count),
    tail: (count) => between(words.length - count, words.length),
    middle: (count) => {
      const from = (words.length - count) >> 1;
      return between(from, from + count);
    },
    ends: (count) => {
      const first = Math.ceil(count / 2);
      return between(0, first) + (count > 0 ? GAP : '') + between(words.length - count + first, words.length);
    },
  };
  let [most, tooMany] = [0, words.length];
  while (tooMany - most > 1) {
    const count = (most + tooMany) >> 1;
    if (fits(parts[keep](count))) most = count;
    else tooMany = count;
  }
  return parts[keep](most);
}
