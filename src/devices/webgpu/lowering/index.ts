import { addLowering } from './add.js';
import { attentionDxLowering, attentionLowering } from './attention.js';
import { columnSumLowering } from './column_sum.js';
import { dropoutLowering } from './dropout.js';
import { embedDwLowering, embedLowering } from './embed.js';
import { jointLossHeadLowering } from './joint_loss_head.js';
import { linearDwLowering, linearDxLowering, linearLowering } from './linear.js';
import type { Lowering } from './lowering.js';
import { accumulateLowering, adamwLowering, sumOfSquaresLowering } from './optimizer.js';
import { rmsnormDwLowering, rmsnormDxLowering, rmsnormLowering } from './rmsnorm.js';
import { ropeLowering } from './rope.js';
import { swigluDxLowering, swigluLowering } from './swiglu.js';

/** The kernels of every op this device has, by the op's name. */
export const lowerings: Readonly<Record<string, Lowering>> = {
  accumulate: accumulateLowering,
  adamw: adamwLowering,
  add: addLowering,
  attention: attentionLowering,
  attention_dx: attentionDxLowering,
  column_sum: columnSumLowering,
  dropout: dropoutLowering,
  embed: embedLowering,
  embed_dw: embedDwLowering,
  joint_loss_head: jointLossHeadLowering,
  linear: linearLowering,
  linear_dw: linearDwLowering,
  linear_dx: linearDxLowering,
  rmsnorm: rmsnormLowering,
  rmsnorm_dw: rmsnormDwLowering,
  rmsnorm_dx: rmsnormDxLowering,
  rope: ropeLowering,
  sum_of_squares: sumOfSquaresLowering,
  swiglu: swigluLowering,
  swiglu_dx: swigluDxLowering,
};
