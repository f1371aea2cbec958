import { excerpt, InputError } from '../base/errors.js';
import { readChatTemplate } from '../data/chat/source.js';
import { ChatTemplate } from '../data/chat/template.js';
import { conversationOf, toolsOf } from '../data/documents/conversations.js';
import { Problem } from '../data/documents/problems.js';
import { noTemplate, textTokens } from '../data/encoding.js';
import type { Message } from '../data/examples.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { checkedIds, listOf } from './given.js';

/**
 * What a model is to go on with: a text, which begins as the tokenizer begins texts; ids as they are; or turns, written
 * with the model's chat template up to where the assistant speaks.
 */
export type Prompt =
  | string
  | { readonly ids: ArrayLike<number> }
  | { readonly messages: readonly Message[]; readonly tools?: readonly unknown[] };

/**
 * @param folder of a model
 * @param file a template to use instead of its own
 * @throws InputError for a template that can't be read; Problem where there is none
 */
export function openChatTemplate(folder: string, file: string | undefined): ChatTemplate {
  const source = readChatTemplate(folder, file);
  if (!source) throw noTemplate();
  return new ChatTemplate(source);
}

/** Turns prompts into ids. */
export class PromptEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #vocabulary: number;
  readonly #folder: string;
  readonly #chatTemplate: string | undefined;
  #template: ChatTemplate | undefined;

  /**
   * @param vocabulary rows of the embedding
   * @param folder of the model, for its chat template
   * @param chatTemplate a file to use instead
   */
  constructor(tokenizer: Tokenizer, vocabulary: number, folder: string, chatTemplate?: string) {
    this.#tokenizer = tokenizer;
    this.#vocabulary = vocabulary;
    this.#folder = folder;
    this.#chatTemplate = chatTemplate;
  }

  /** @throws InputError for a prompt that can't be encoded, or that comes to no tokens */
  encode(prompt: Prompt, name: string): Uint32Array {
    const ids = this.#encode(prompt, name);
    if (ids.length > 0) return ids;
    throw new InputError(`${name}: expected a prompt of at least one token, found none`);
  }

  #encode(prompt: Prompt, name: string): Uint32Array {
    if (typeof prompt === 'string') {
      return textTokens(this.#tokenizer, prompt, this.#tokenizer.before, false);
    }
    if (typeof prompt === 'object' && prompt !== null && 'messages' in prompt) {
      return this.#tokenizer.encode(this.#rendered(prompt, name), { addSpecialTokens: false });
    }
    if (typeof prompt === 'object' && prompt !== null && 'ids' in prompt)
      return checkedIds(prompt.ids, this.#vocabulary, name);
    throw new InputError(`${name}: expected a text, { ids } or { messages }, found ${excerpt(prompt)}`);
  }

  #rendered({ messages, tools }: Exclude<Prompt, string | { ids: unknown }>, name: string): string {
    const turns = listOf(messages, name, 'messages');
    try {
      return this.#chat().render(conversationOf(turns, toolsOf(tools)), true);
    } catch (error) {
      if (error instanceof Problem) throw new InputError(`${name}: ${error.message}`);
      throw error;
    }
  }

  #chat(): ChatTemplate {
    this.#template ??= openChatTemplate(this.#folder, this.#chatTemplate);
    return this.#template;
  }
}
