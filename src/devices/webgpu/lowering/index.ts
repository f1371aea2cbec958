import { jointLossHeadLowering } from './joint_loss_head.js';
import { linearDwLowering, linearDxLowering, linearLowering } from './linear.js';
import type { Lowering } from './lowering.js';
import { rmsnormDxLowering, rmsnormLowering } from './rmsnorm.js';

/** The kernels of every op this device has, by the op's name. */
export const lowerings: Readonly<Record<string, Lowering>> = {
  joint_loss_head: jointLossHeadLowering,
  linear: linearLowering,
  linear_dw: linearDwLowering,
  linear_dx: linearDxLowering,
  rmsnorm: rmsnormLowering,
  rmsnorm_dx: rmsnormDxLowering,
};
