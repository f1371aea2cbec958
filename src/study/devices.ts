import { hostDevices } from '../devices/host.js';
import { resolveOptions } from '../prepare/resolveOptions.js';
import { Devices } from '../run/recovery.js';
import { localShare } from '../world/localShare.js';
import type { Place } from '../world/world.js';
import type { StudyPlan } from './plan.js';

/** The devices of a study, which all cells of a rank share: not open yet. */
export function devicesOf(plan: StudyPlan, place: Pick<Place, 'localRank' | 'localSize'>): Devices {
  const { options } = resolveOptions(plan.firstJobs[0]!.options);
  const { device, teacherDevice, kernels, tune } = options;
  const share = localShare(place, options.threads);
  return new Devices((chosen) => hostDevices({ device, teacherDevice }, { ...share, kernels, tune }, chosen));
}
