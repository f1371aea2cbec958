import { hostDevices } from '../devices/host.js';
import { resolveOptions } from '../prepare/resolveOptions.js';
import { Devices } from '../run/recovery.js';
import type { StudyPlan } from './plan.js';

/** The devices of a study, which all cells of a rank share: not open yet. */
export function devicesOf(plan: StudyPlan): Devices {
  const { options } = resolveOptions(plan.firstJobs[0]!.options);
  const { device, teacherDevice, threads, kernels, tune } = options;
  return new Devices((chosen) => hostDevices({ device, teacherDevice }, { threads, kernels, tune }, chosen));
}
