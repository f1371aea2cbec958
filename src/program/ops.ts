import type { Op } from './op.js';
import { addOp } from './ops/add.js';
import { attentionDxOp, attentionOp } from './ops/attention.js';
import { cachedAttentionOp } from './ops/cached_attention.js';
import { columnSumOp } from './ops/column_sum.js';
import { dropoutOp } from './ops/dropout.js';
import { embedDwOp, embedOp } from './ops/embed.js';
import { jointLossHeadOp } from './ops/joint_loss_head.js';
import { linearDwOp, linearDxOp, linearOp } from './ops/linear.js';
import { accumulateOp, adamwOp, foldOp, sumOfSquaresOp } from './ops/optimizer.js';
import { rmsnormDwOp, rmsnormDxOp, rmsnormOp } from './ops/rmsnorm.js';
import { ropeOp } from './ops/rope.js';
import { scatterOp } from './ops/scatter.js';
import { swigluDxOp, swigluOp } from './ops/swiglu.js';

/** Every op by name. Devices hold code under the same names. */
export const ops: Readonly<Record<string, Op>> = Object.fromEntries(
  [
    accumulateOp,
    adamwOp,
    addOp,
    attentionDxOp,
    attentionOp,
    cachedAttentionOp,
    columnSumOp,
    dropoutOp,
    embedDwOp,
    embedOp,
    foldOp,
    jointLossHeadOp,
    linearDwOp,
    linearDxOp,
    linearOp,
    rmsnormDwOp,
    rmsnormDxOp,
    rmsnormOp,
    ropeOp,
    scatterOp,
    sumOfSquaresOp,
    swigluDxOp,
    swigluOp,
  ].map((op) => [op.name, op]),
);
