import { InputError } from '../base/errors.js';
import type { QmsumOptions } from '../options/qmsum.js';
import { assistantSpans } from './chat/assistantSpans.js';
import { learnedIn, type TurnTokenizer } from './chat/learned.js';
import type { ChatTemplateSource } from './chat/source.js';
import { ChatTemplate } from './chat/template.js';
import { BadDocument, Problem } from './documents/problems.js';
import type { Conversation, Encoded, Example, MeetingQuery, PromptCompletion } from './examples.js';
import { MeetingPrompts } from './meetingPrompt.js';
import type { Tokenizer } from './tokenizer.js';

export type DocumentTokenizer = TurnTokenizer & Pick<Tokenizer, 'before' | 'bosId' | 'eosId'>;

/** What begins a document: what the tokenizer itself puts before a text, its BOS token, or nothing. */
export type Bos = 'auto' | 'always' | 'never';

/** The ids of a document. @throws Problem when it can't be encoded */
export type Encode = (example: Example) => Encoded;

export interface EncodingOptions {
  /** Of text, and of a prompt with a completion; chat templates write their own. Default: auto. */
  readonly bos?: Bos | undefined;
  /** End each document of text with the tokenizer's EOS. */
  readonly eos: boolean;
  /** What conversations are written with. */
  readonly chatTemplate?: ChatTemplateSource | undefined;
  /** Of conversations, and of prompts with a completion. Default: assistant. */
  readonly lossOn?: 'assistant' | 'all';
  /** How queries about meetings are asked. */
  readonly qmsum?: QmsumOptions | undefined;
}

/**
 * Text is learned whole. A conversation is written with the chat template, which puts BOS where it belongs, and what the
 * assistant says is learned. A prompt and its completion become BOS, both as one text, and EOS (of a tokenizer that has
 * one), so that a model learns to stop; the completion is learned, EOS included. A query about a meeting becomes a prompt
 * with a completion, or a conversation.
 * @throws InputError when BOS or EOS is requested from a tokenizer without one, or the chat template can't be parsed
 */
export function createEncode(
  tokenizer: DocumentTokenizer,
  { bos, eos, chatTemplate, lossOn = 'assistant', qmsum }: EncodingOptions,
): Encode {
  if (eos && tokenizer.eosId === undefined) {
    throw new InputError(
      'expected a tokenizer with an EOS token for --eos, found one without; leave --eos out',
    );
  }
  const before = beginningOf(tokenizer, bos);
  const template = chatTemplate && new ChatTemplate(chatTemplate);
  const meetings = new MeetingPrompts(tokenizer, qmsum);
  const isMasked = lossOn === 'assistant';
  return (found) => {
    const example = typeof found === 'object' && 'query' in found ? meetings.example(found) : found;
    if (typeof example === 'string') return { tokens: textTokens(tokenizer, example, before, eos) };
    if ('tokens' in example) return isMasked ? example : { tokens: example.tokens };
    if ('prompt' in example) {
      const encoded = encodedCompletion(tokenizer, example, before, tokenizer.eosId !== undefined);
      return isMasked ? encoded : { tokens: encoded.tokens };
    }
    if (!template) throw noTemplate();
    return encodedConversation(tokenizer, template, example, isMasked);
  };
}

/** The ids that a model is given to answer a query about a meeting: those of `createEncode` before the answer. */
export type EncodePrompt = (query: MeetingQuery) => Uint32Array;

/** @throws InputError as `createEncode` does; the function that it gives throws Problem */
export function createEncodePrompt(
  tokenizer: DocumentTokenizer,
  { bos, chatTemplate, qmsum }: Pick<EncodingOptions, 'bos' | 'chatTemplate' | 'qmsum'>,
): EncodePrompt {
  const before = beginningOf(tokenizer, bos);
  const template = chatTemplate && new ChatTemplate(chatTemplate);
  const meetings = new MeetingPrompts(tokenizer, qmsum);
  return (query) => {
    const example = meetings.example(query);
    if ('prompt' in example) return textTokens(tokenizer, example.prompt, before, false);
    if (!template) throw noTemplate();
    const asked = { messages: example.messages.slice(0, -1) };
    return tokenizer.encode(template.render(asked, true), { addSpecialTokens: false });
  };
}

/** What is wrong with conversations for a model that has no chat template. */
export const noTemplate = (): Problem =>
  new Problem(
    'expected a model with a chat template for conversations, found one without; give --chat-template FILE',
  );

/** The ids of a document, or what is wrong with it. */
export function encodedOrBad(
  encode: Encode,
  { id, example }: { readonly id: string; readonly example: Example },
): Encoded | BadDocument {
  try {
    return encode(example);
  } catch (error) {
    if (error instanceof Problem) return new BadDocument(`${id}: ${error.message}`);
    throw error;
  }
}

function encodedConversation(
  tokenizer: DocumentTokenizer,
  template: ChatTemplate,
  conversation: Conversation,
  isMasked: boolean,
): Encoded {
  if (!isMasked)
    return { tokens: tokenizer.encode(template.render(conversation, false), { addSpecialTokens: false }) };
  const { text, spans } = assistantSpans(template, conversation);
  return learnedIn(text, spans, tokenizer);
}

/**
 * A prompt and its completion as one text, of which the completion is learned: all from the first token on that is not
 * the prompt's own.
 * @param eos whether EOS follows, which is learned too
 * @throws Problem for an empty completion
 */
export function encodedCompletion(
  tokenizer: DocumentTokenizer,
  { prompt, completion }: PromptCompletion,
  before: Uint32Array,
  eos: boolean,
): Encoded {
  if (completion === '') throw new Problem('expected a completion, found an empty one; delete the record');
  const tokens = textTokens(tokenizer, prompt + completion, before, eos);
  const given = textTokens(tokenizer, prompt, before, false);
  const first = given.findIndex((id, i) => id !== tokens[i]);
  return { tokens, learned: new Uint8Array(tokens.length).fill(1, first < 0 ? given.length : first) };
}

/**
 * The ids that begin a document.
 * @throws InputError when BOS is requested from a tokenizer without one
 */
export function beginningOf(
  { before, bosId }: Pick<Tokenizer, 'before' | 'bosId'>,
  bos: Bos = 'auto',
): Uint32Array {
  if (bos === 'never') return new Uint32Array(0);
  if (bos === 'auto') return before;
  if (bosId === undefined) {
    throw new InputError(
      'expected a tokenizer with a BOS token for --bos always, found one without; leave --bos out',
    );
  }
  return before.includes(bosId) ? before : Uint32Array.of(bosId, ...before);
}

/** What begins a document, the text, and EOS on request. */
export function textTokens(
  tokenizer: DocumentTokenizer,
  text: string,
  before: Uint32Array,
  eos: boolean,
): Uint32Array {
  const after = eos ? [tokenizer.eosId!] : [];
  const body = tokenizer.encode(text, { addSpecialTokens: false });
  const tokens = new Uint32Array(before.length + body.length + after.length);
  tokens.set(before);
  tokens.set(body, before.length);
  tokens.set(after, before.length + body.length);
  return tokens;
}
