import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { excerpt, InputError } from '../base/errors.js';
import { version } from '../base/version.js';
import { hashTexts } from '../data/documents/contentHash.js';
import type { DeviceHosts } from '../devices/host.js';
import { HASHES_FILE } from '../formats/hashes.js';
import { flagOf } from '../options/table.js';
import { isOperational } from '../options/train.js';
import { together } from '../world/together.js';
import type { World } from '../world/world.js';
import { hashOfModel } from './modelHash.js';
import type { Preparation } from './prepare.js';

/** What all ranks have to have alike, by what it is called in an error, in order. */
type Facts = readonly (readonly [what: string, value: unknown])[];

/** Where a rank keeps its files may be its own business. */
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
  const all = await world.channel.gather(facts, 'comparing options, models and text');
  await together(world, 'comparing', () => {
    if (world.rank === 0) compare(all, world.hosts);
  });
}

/** @throws InputError naming what differs first, and where */
function compare(all: readonly Facts[], hosts: readonly string[]): void {
  const [first, ...others] = all as [Facts, ...Facts[]];
  for (const [i, [what, value]] of first.entries()) {
    for (const [j, facts] of others.entries()) {
      const [name, found] = facts[i] ?? ['nothing', undefined];
      if (name === what && isDeepStrictEqual(found, value)) continue;
      throw new InputError(
        `${what}: expected ${told(value)} on all ranks, as on rank 0 (${hosts[0]}), found ` +
          `${name === what ? told(found) : name} on rank ${j + 1} (${hosts[j + 1]}); start all with the same command on the same files`,
      );
    }
  }
}

const told = (value: unknown): string => (value === undefined ? 'none' : excerpt(value));

async function factsOf(prepared: Preparation, devices: DeviceHosts): Promise<Facts> {
  const { options, text, student, teacher, resume, chatTemplate, schedule } = prepared;
  const asked = Object.entries(options)
    .filter(([name]) => !PLACES.includes(name) && !isOperational(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [flagOf(name), value] as const);
  const texts = await hashTexts([...text.data, ...(text.evalData ?? [])]);
  return [
    ['version', version],
    ...asked,
    ['--student', await hashOfModel(student.student)],
    ['--teacher', teacher && (await hashOfModel(teacher))],
    ...Object.entries(texts).map(([name, hash]) => [`text ${basename(name)}`, hash] as const),
    ['chat template', chatTemplate],
    ['steps', schedule.steps],
    ['checkpoint', resume && checkpointOf(resume.path)],
    ['kernels', devices.student.info.kernels],
  ];
}

/** What a checkpoint is told by: its own list of hashes. */
function checkpointOf(path: string): string {
  return `${basename(path)} ${readFileSync(join(path, HASHES_FILE), 'utf8')}`;
}
