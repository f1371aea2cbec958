import type { z } from 'zod';

/** Where a family's decoder differs from Llama's. Absent: as in Llama. */
export interface Traits {
  /** q, k and v projections add a bias: `self_attn.q_proj.bias` and so on. */
  readonly qkvBias?: true;
  /** Queries and keys are normalised head by head before rope: `self_attn.q_norm.weight`, [headDim]. */
  readonly qkNorm?: true;
  /** Attention reaches back at most this many tokens, so longer sequences are refused. */
  readonly slidingWindow?: number;
}

/** A model family: one file here, one line in `families.ts`. */
export interface Family<Fields = unknown> {
  /** `model_type` of its `config.json`. */
  readonly modelType: string;
  /** The fields that only this family has, or that must have certain values in it. */
  readonly fields: z.ZodType<Fields>;
  readonly traits: (fields: Fields) => Traits;
}

export const defineFamily = <Fields>(family: Family<Fields>): Family => family as Family;
