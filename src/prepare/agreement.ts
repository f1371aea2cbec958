import { basename, join } from 'node:path';
import { jsonLine } from '../base/errors.js';
import { version } from '../base/version.js';
import { hashTexts } from '../data/documents/contentHash.js';
import type { DeviceHosts } from '../devices/host.js';
import { HASHES_FILE, hashFile } from '../formats/hashes.js';
import { flagOf } from '../options/table.js';
import { isOperational } from '../options/train.js';
import { agreeOn, together } from '../world/together.js';
import type { World } from '../world/world.js';
import { hashOfModel } from './modelHash.js';
import type { Preparation } from './prepare.js';

/** Where a rank keeps its files may be its own business: what is in them is compared. */
const PLACES = [
  'out',
  'resume',
  'config',
  'dryRun',
  'data',
  'evalData',
  'student',
  'teacher',
  'init',
  'taskData',
];

/**
 * Holds ranks to one version, one set of options, the same models and the same text, before any of them learns something.
 * @throws InputError with the first difference, on one rank
 */
export async function agree(
  world: Pick<World, 'rank' | 'size' | 'hosts' | 'channel'>,
  prepared: Preparation,
  devices: DeviceHosts,
): Promise<void> {
  if (world.size === 1) return;
  const facts = await together(world, 'hashing models and text', () => factsOf(prepared, devices));
  await agreeOn(world, 'comparing options, models and text', facts);
}

async function factsOf(prepared: Preparation, devices: DeviceHosts): Promise<Record<string, string>> {
  const { options, text, student, teacher, resume, chatTemplate, schedule } = prepared;
  const asked = Object.entries(options)
    .filter(([name]) => !PLACES.includes(name) && !isOperational(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [flagOf(name), value === undefined ? 'none' : jsonLine(value)] as const);
  const texts = await hashTexts([...text.data, ...(text.evalData ?? [])]);
  return {
    version,
    ...Object.fromEntries(asked),
    '--student': await hashOfModel(student.student),
    '--teacher': teacher ? await hashOfModel(teacher) : 'none',
    ...Object.fromEntries(Object.entries(texts).map(([name, hash]) => [`text ${basename(name)}`, hash])),
    'chat template': chatTemplate ?? 'none',
    'number of steps': String(schedule.steps),
    checkpoint: resume
      ? `${basename(resume.path)} ${await hashFile(join(resume.path, HASHES_FILE))}`
      : 'none',
    kernels: devices.student.info.kernels,
  };
}
