import type { Builder } from '../program/builder.js';
import { attention } from '../program/ops/attention.js';
import { cachedAttention } from '../program/ops/cached_attention.js';
import { type DropoutKey, dropout } from '../program/ops/dropout.js';
import { embed } from '../program/ops/embed.js';
import { type LinearTerm, linear } from '../program/ops/linear.js';
import { rmsnorm } from '../program/ops/rmsnorm.js';
import { rope } from '../program/ops/rope.js';
import { scatter } from '../program/ops/scatter.js';
import { swiglu } from '../program/ops/swiglu.js';
import type { Value } from '../program/types.js';
import { type LoraValues, loraScale } from './lora.js';
import { LINEAR_LAYERS, type LinearLayer, layerName, type ModelWeights } from './weights.js';

/** What a block's cache holds, f32 [rows * capacity, keyValueHeads * headDim]: keys after their rotation. */
export interface CachedBlock {
  readonly keys: Value;
  readonly values: Value;
}

/** A cache that tokens are read after. */
export interface Cache {
  readonly blocks: readonly CachedBlock[];
  /** u32 [rows]: tokens that a row has in it. */
  readonly cached: Value;
  /** u32 [T]: where keys and values of the tokens are kept, see `scatter`. */
  readonly places: Value;
}

/** What a forward pass reads. T = rows * sequence tokens, row by row. */
export interface ForwardInputs {
  /** u32 [T] */
  readonly tokens: Value;
  /** u32 [T]: place inside the document's piece; attention reaches back exactly that far. */
  readonly positions: Value;
  /** Present where tokens before these are known by their keys and values alone; positions count on from them. */
  readonly cache?: Cache;
  /** Tokens of a row. */
  readonly sequence: number;
  /** The host reads the hidden states. */
  readonly forHost?: boolean;
  /** Present when the adapter has dropout and is being trained. */
  readonly dropoutKey?: DropoutKey;
}

/**
 * A Llama decoder (Touvron et al. 2023) with optional LoRA; each block is a segment of the program.
 * @returns hidden states after the final norm, [T, D]
 */
export function forward(b: Builder, weights: ModelWeights, inputs: ForwardInputs, lora?: LoraValues): Value {
  const model = new Decoder(b, weights, inputs, lora);
  let x = embed(b, inputs.tokens, model.weight('model.embed_tokens'));
  for (let block = 0; block < weights.config.layers; block++) x = b.segment(() => model.block(x, block));
  const norm = model.weight('model.norm');
  return rmsnorm(b, 'hidden', x, norm, weights.config.normEps, inputs.forHost ? 'output' : 'activation');
}

class Decoder {
  readonly #b: Builder;
  readonly #weights: ModelWeights;
  readonly #inputs: ForwardInputs;
  readonly #lora: LoraValues | undefined;

  constructor(b: Builder, weights: ModelWeights, inputs: ForwardInputs, lora?: LoraValues) {
    this.#b = b;
    this.#weights = weights;
    this.#inputs = inputs;
    this.#lora = lora;
  }

  weight(module: string): Value {
    const value = this.#weights.values.get(`${module}.weight`);
    if (!value) throw new Error(`The model has no weight ${module}.weight`);
    return value;
  }

  /** x [T, D] -> [T, D]. */
  block(x: Value, block: number): Value {
    const { config } = this.#weights;
    const name = `model.layers.${block}`;
    const normed = rmsnorm(
      this.#b,
      'attention_in',
      x,
      this.weight(`${name}.input_layernorm`),
      config.normEps,
    );
    const afterAttention = this.#linear(this.#attend(normed, block), block, 'self_attn.o_proj', x);
    const norm = this.weight(`${name}.post_attention_layernorm`);
    const mlpIn = rmsnorm(this.#b, 'mlp_in', afterAttention, norm, config.normEps);
    const gate = this.#linear(mlpIn, block, 'mlp.gate_proj');
    const up = this.#linear(mlpIn, block, 'mlp.up_proj');
    return this.#linear(swiglu(this.#b, gate, up), block, 'mlp.down_proj', afterAttention);
  }

  #attend(x: Value, block: number): Value {
    const { heads, keyValueHeads, headDim } = this.#weights.config;
    const { positions, sequence, cache } = this.#inputs;
    const shape = { sequence, heads, keyValueHeads, headDim };
    const table = this.#weights.ropeTable;
    const q = rope(this.#b, this.#normed(x, block, 'q'), positions, table);
    const k = rope(this.#b, this.#normed(x, block, 'k'), positions, table);
    const v = this.#linear(x, block, 'self_attn.v_proj');
    if (!cache) return attention(this.#b, { q, k, v }, positions, shape);
    const { keys, values } = cache.blocks[block]!;
    const { cached, places } = cache;
    const o = cachedAttention(this.#b, { q, k, v }, positions, { keys, values, cached }, shape);
    scatter(this.#b, k, places, keys);
    scatter(this.#b, v, places, values);
    return o;
  }

  /** Queries or keys, normalised head by head in families that do so. */
  #normed(x: Value, block: number, which: 'q' | 'k'): Value {
    const projected = this.#linear(x, block, `self_attn.${which}_proj`);
    const { config } = this.#weights;
    if (!config.qkNorm) return projected;
    const weight = this.weight(`model.layers.${block}.self_attn.${which}_norm`);
    return rmsnorm(this.#b, `${which}_norm`, projected, weight, config.normEps);
  }

  /**
   * residual + x W^T + bias where the layer has one, plus s (dropout(x) A^T) B^T where the layer is adapted, minus
   * s (x A0^T) B0^T where the adapter began with singular vectors.
   */
  #linear(x: Value, block: number, layer: LinearLayer, residual: Value | null = null): Value {
    const name = layerName(block, layer);
    const terms: LinearTerm[] = [{ x, weight: this.weight(name) }];
    const a = this.#lora?.values.get(`${name}.lora_A.weight`);
    const bFactor = this.#lora?.values.get(`${name}.lora_B.weight`);
    if (this.#lora && a && bFactor) {
      const site = block * LINEAR_LAYERS.length + LINEAR_LAYERS.indexOf(layer);
      const low = linear(this.#b, 'lora', [{ x: this.#drop(x, site), weight: a }]);
      terms.push({ x: low, weight: bFactor, scale: loraScale(this.#lora.options, name) });
    }
    const bias = this.#weights.values.get(`${name}.bias`) ?? null;
    return this.#withoutStart(linear(this.#b, layer, terms, residual, bias), x, name);
  }

  /** What the weight has in common with the adapter's start is not dropped with it: it is the base model's. */
  #withoutStart(y: Value, x: Value, name: string): Value {
    const a = this.#lora?.start.get(`${name}.lora_A.weight`);
    const bFactor = this.#lora?.start.get(`${name}.lora_B.weight`);
    if (!this.#lora || !a || !bFactor) return y;
    const low = linear(this.#b, 'start', [{ x, weight: a }]);
    const scale = -loraScale(this.#lora.options, name);
    return linear(this.#b, 'without_start', [{ x: low, weight: bFactor, scale }], y);
  }

  #drop(x: Value, site: number): Value {
    const key = this.#inputs.dropoutKey;
    const p = this.#lora?.options.dropout ?? 0;
    return key && p > 0 ? dropout(this.#b, x, key, p, site) : x;
  }
}
