import type { Op } from '../op.js';
import { addOp } from './add.js';
import { attentionDxOp, attentionOp } from './attention.js';
import { columnSumOp } from './column_sum.js';
import { dropoutOp } from './dropout.js';
import { embedDwOp, embedOp } from './embed.js';
import { jointLossHeadOp } from './joint_loss_head.js';
import { linearDwOp, linearDxOp, linearOp } from './linear.js';
import { accumulateOp, adamwOp, sumOfSquaresOp } from './optimizer.js';
import { rmsnormDwOp, rmsnormDxOp, rmsnormOp } from './rmsnorm.js';
import { ropeOp } from './rope.js';
import { swigluDxOp, swigluOp } from './swiglu.js';

/** Every op by name. Devices hold code under the same names. */
export const ops: Readonly<Record<string, Op>> = Object.fromEntries(
  [
    accumulateOp,
    adamwOp,
    addOp,
    attentionDxOp,
    attentionOp,
    columnSumOp,
    dropoutOp,
    embedDwOp,
    embedOp,
    jointLossHeadOp,
    linearDwOp,
    linearDxOp,
    linearOp,
    rmsnormDwOp,
    rmsnormDxOp,
    rmsnormOp,
    ropeOp,
    sumOfSquaresOp,
    swigluDxOp,
    swigluOp,
  ].map((op) => [op.name, op]),
);
