import { addLowering } from './lowering/add.js';
import { attentionDxLowering, attentionLowering } from './lowering/attention.js';
import { cachedAttentionLowering } from './lowering/cached_attention.js';
import { columnSumLowering } from './lowering/column_sum.js';
import { dropoutLowering } from './lowering/dropout.js';
import { embedDwLowering, embedLowering } from './lowering/embed.js';
import { jointLossHeadLowering } from './lowering/joint_loss_head.js';
import { linearDwLowering, linearDxLowering, linearLowering } from './lowering/linear.js';
import type { Lowering } from './lowering/lowering.js';
import {
  accumulateLowering,
  adamwLowering,
  foldLowering,
  sumOfSquaresLowering,
} from './lowering/optimizer.js';
import { rmsnormDwLowering, rmsnormDxLowering, rmsnormLowering } from './lowering/rmsnorm.js';
import { ropeLowering } from './lowering/rope.js';
import { scatterLowering } from './lowering/scatter.js';
import { swigluDxLowering, swigluLowering } from './lowering/swiglu.js';

/** The kernels of every op, by the op's name. */
export const lowerings: Readonly<Record<string, Lowering>> = {
  accumulate: accumulateLowering,
  adamw: adamwLowering,
  add: addLowering,
  attention: attentionLowering,
  attention_dx: attentionDxLowering,
  cached_attention: cachedAttentionLowering,
  column_sum: columnSumLowering,
  dropout: dropoutLowering,
  embed: embedLowering,
  embed_dw: embedDwLowering,
  fold: foldLowering,
  joint_loss_head: jointLossHeadLowering,
  linear: linearLowering,
  linear_dw: linearDwLowering,
  linear_dx: linearDxLowering,
  rmsnorm: rmsnormLowering,
  rmsnorm_dw: rmsnormDwLowering,
  rmsnorm_dx: rmsnormDxLowering,
  rope: ropeLowering,
  scatter: scatterLowering,
  sum_of_squares: sumOfSquaresLowering,
  swiglu: swigluLowering,
  swiglu_dx: swigluDxLowering,
};
