import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Fixture, makeFixture, makeJsonl } from '../fixtures.js';
import { temporaryFolder } from '../support.js';

/** Tiny models and text, for studies of them. */
export interface StudyFixture {
  readonly fixture: Fixture;
  /** A new folder. */
  freshFolder(): string;
  /** A study's file: options that all studies here have, and `text`. @returns its path */
  written(text: string): string;
}

/** Also gives the process a cache of its own. */
export function studyFixture(label: string): StudyFixture {
  process.env.RIVULET_CACHE = temporaryFolder(`${label}-cache`);
  const fixture = makeFixture(label);
  const heldOut = join(fixture.folder, 'heldout.jsonl');
  writeFileSync(heldOut, makeJsonl(90, 8));
  const options =
    `options: {student: ${fixture.student}, data: ${fixture.jsonl}, evalData: ${heldOut}, evalTokens: 128, ` +
    'sequence: 16, shuffleRows: 16, threads: 1}\n';
  const freshFolder = () => mkdtempSync(join(fixture.folder, 'study-'));
  return {
    fixture,
    freshFolder,
    written(text) {
      const path = join(freshFolder(), 'study.yaml');
      writeFileSync(path, options + text);
      return path;
    },
  };
}
