import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder } from '../../base/cacheFolder.js';

/** Names of variants by the keys of products. */
export type Choices = Readonly<Record<string, string>>;

const fileOf = (folder: string, adapter: string): string =>
  join(cacheFolder(), folder, `${adapter.replaceAll(/[^\w.]+/g, '-')}.json`);

/** Where the fastest variants on an adapter are remembered: one file for each adapter with its driver. */
export const tuningFile = (adapter: string): string => fileOf('tuning', adapter);

/** Where it is remembered which pipelines its driver makes (trials.ts). */
export const trialsFile = (adapter: string): string => fileOf('trials', adapter);

/** What is remembered; nothing where the file is not there or damaged: it is made anew then. */
export function readChoices(file: string): Choices {
  try {
    const choices: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const entries = Object.entries(choices as object).filter(([, name]) => typeof name === 'string');
    return Object.fromEntries(entries) as Choices;
  } catch {
    return {};
  }
}

/** Adds to what is remembered. A cache that cannot be written costs time, nothing else. */
export function writeChoices(file: string, choices: Choices): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    const unfinished = `${file}.${process.pid}`;
    writeFileSync(unfinished, `${JSON.stringify({ ...readChoices(file), ...choices }, null, 1)}\n`);
    renameSync(unfinished, file);
  } catch {}
}
