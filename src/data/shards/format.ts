import { z } from 'zod';
import { InputError } from '../../base/errors.js';
import {
  headerLength,
  LENGTH_BYTES,
  parseSafetensors,
  type SafetensorsDtype,
  type SafetensorsFile,
  type TensorInfo,
} from '../../formats/safetensors.js';
import { qmsum, qmsumText } from '../../options/qmsum.js';
import type { ByteFile } from '../documents/bytes.js';
import { Problem } from '../documents/problems.js';
import type { Encoding } from './fingerprint.js';

/**
 * A token shard: documents as ids, in a safetensors file. Tensors: `tokens` [n] U16 or U32; of each document `ends` I64,
 * the place after its last token, `bytes` I64, the UTF-8 bytes of its source, `fraction` F64, a hash of its source in
 * [0, 1), and `text` U8, 1 where it was text; and `learned` [n] U8, 1 where a token is to be predicted, absent where all are. Metadata says what made the ids.
 */
export interface Shard {
  readonly encoding: Encoding;
  readonly documents: number;
  readonly tokens: TensorInfo;
  readonly ends: TensorInfo;
  readonly bytes: TensorInfo;
  readonly fraction: TensorInfo;
  readonly text: TensorInfo;
  readonly learned: TensorInfo | undefined;
}

const FORMAT = 'rivulet-tokens';
const VERSION = '1';

const digits = z.string().regex(/^\d{1,10}$/);
const metadataSchema = z.object({
  tokenizer: z.string(),
  fingerprint: z.string(),
  vocabulary: digits,
  /** Ids with commas between, absent where a tokenizer's BOS was meant, if it has one. */
  bos: z
    .string()
    .regex(/^(\d{1,10}(,\d{1,10})*)?$/)
    .optional(),
  eos: z.union([digits, z.literal('none')]),
  chat_template: z.string().optional(),
  qmsum: qmsum.optional(),
});

export const metadataOf = (encoding: Encoding, sources: readonly string[]): Record<string, string> => ({
  format: FORMAT,
  version: VERSION,
  tokenizer: encoding.tokenizer,
  fingerprint: encoding.fingerprint,
  vocabulary: String(encoding.vocabulary),
  bos: encoding.bos?.join() ?? '',
  eos: encoding.eos === undefined ? 'none' : String(encoding.eos),
  sources: JSON.stringify(sources),
  ...(encoding.chatTemplate !== undefined && { chat_template: encoding.chatTemplate }),
  ...(encoding.qmsum && { qmsum: qmsumText(encoding.qmsum) }),
});

/** Bytes of an id on the disk. */
export const tokenBytes = ({ vocabulary }: Encoding): 2 | 4 => (vocabulary <= 2 ** 16 ? 2 : 4);

/** Reads and checks the header. @throws Problem when the file is no shard, or a damaged one */
export async function openShard(file: ByteFile): Promise<Shard> {
  const start = await file.read(0, LENGTH_BYTES);
  const length = understood(() => headerLength('header', start, file.size));
  const header = await readWhole(file, LENGTH_BYTES, length);
  return shardOf(understood(() => parseSafetensors('header', header, file.size)));
}

/** @throws Problem when the file ends early */
export async function readWhole(file: ByteFile, offset: number, length: number): Promise<Buffer> {
  const bytes = await file.read(offset, length);
  if (bytes.length === length) return bytes;
  throw broken(`${length} bytes at byte ${offset}`, `${bytes.length}`);
}

function shardOf({ tensors, metadata }: SafetensorsFile): Shard {
  const { format = 'none', version } = metadata;
  if (format !== FORMAT || version !== VERSION) {
    const found = format === FORMAT ? `version ${version}` : `safetensors of another kind (format ${format})`;
    throw new Problem(`expected a token shard of version ${VERSION}, found ${found}; leave the file out`, {
      endsFile: true,
    });
  }
  const { length: documents, ...ends } = column(tensors, 'ends', ['I64']);
  const { length: count, ...tokens } = column(tensors, 'tokens', ['U16', 'U32']);
  return {
    encoding: encodingIn(metadata),
    documents,
    tokens,
    ends,
    bytes: column(tensors, 'bytes', ['I64'], documents),
    fraction: column(tensors, 'fraction', ['F64'], documents),
    text: column(tensors, 'text', ['U8'], documents),
    learned: tensors.has('learned') ? column(tensors, 'learned', ['U8'], count) : undefined,
  };
}

function encodingIn(metadata: Record<string, string>): Encoding {
  const checked = metadataSchema.safeParse(metadata);
  if (!checked.success) {
    const { path, message } = checked.error.issues[0]!;
    throw broken(`metadata of a token shard in its header`, `${path.join('.')}: ${message}`);
  }
  const { tokenizer, fingerprint, vocabulary, bos, eos, chat_template, qmsum } = checked.data;
  return {
    tokenizer,
    fingerprint,
    vocabulary: Number(vocabulary),
    bos: bos?.split(',').filter(Boolean).map(Number),
    eos: eos === 'none' ? undefined : Number(eos),
    chatTemplate: chat_template,
    qmsum,
  };
}

function column(
  tensors: SafetensorsFile['tensors'],
  name: string,
  dtypes: readonly SafetensorsDtype[],
  length?: number,
): TensorInfo & { readonly length: number } {
  const tensor = tensors.get(name);
  const isColumn = tensor?.shape.length === 1 && (length === undefined || tensor.shape[0] === length);
  if (isColumn && dtypes.includes(tensor.dtype)) return { ...tensor, length: tensor.shape[0]! };
  const found = tensor ? `${tensor.dtype} [${tensor.shape}]` : 'none';
  throw broken(`a tensor ${name} of ${dtypes.join(' or ')} [${length ?? 'any length'}]`, found);
}

/** @throws Problem in place of an InputError */
function understood<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof InputError ? new Problem(error.message, { endsFile: true }) : error;
  }
}

/** Of a shard that is damaged. */
export const broken = (expected: string, found: string): Problem =>
  new Problem(`expected ${expected}, found ${found}; fetch or write the shard again`, { endsFile: true });
