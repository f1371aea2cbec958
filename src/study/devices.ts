import { hostDevices } from '../devices/host.js';
import { resolveOptions } from '../prepare/resolveOptions.js';
import { Devices } from '../run/recovery.js';
import { ownThreads } from '../world/ownThreads.js';
import type { Place } from '../world/world.js';
import type { StudyPlan } from './plan.js';

/** The devices of a study, which all cells of a rank share: not open yet. */
export function devicesOf(plan: StudyPlan, place: Pick<Place, 'localSize'>): Devices {
  const { options } = resolveOptions(plan.firstJobs[0]!.options);
  const { device, teacherDevice, kernels, tune } = options;
  const threads = ownThreads(options.threads, place);
  return new Devices((chosen) => hostDevices({ device, teacherDevice }, { threads, kernels, tune }, chosen));
}
