import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readJsonFile } from '../formats/json.js';
import type { ModelFiles } from './weights.js';

const tokenId = z.int().min(0);
const schema = z.looseObject({ eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish() });

/**
 * Tokens after which a model has nothing more to say: those of `generation_config.json`, else of `config.json`, as in
 * transformers; else the tokenizer's EOS.
 * @throws InputError for a generation_config.json that can't be read
 */
export function endOfTextIds(
  { folder, config }: Pick<ModelFiles, 'folder' | 'config'>,
  { eosId }: { readonly eosId?: number | undefined },
): number[] {
  const path = join(folder, 'generation_config.json');
  const own = existsSync(path) ? [readJsonFile(path, schema).eos_token_id ?? []].flat() : [];
  const found = own.length > 0 ? own : config.eosIds;
  return found.length > 0 || eosId === undefined ? found : [eosId];
}
