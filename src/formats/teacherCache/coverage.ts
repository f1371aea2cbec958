import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { publishFile } from '../checkpointFiles.js';
import { readJsonFile } from '../json.js';

/** That a cache has all pieces of a text: as long as these segments are there. */
const coverageSchema = z.strictObject({ segments: z.array(z.string()) });

const pathOf = (folder: string, text: string): string => join(folder, `covered-${text}.json`);

/** @param text what tells texts apart, see `textKey`. @throws InputError when the record is damaged */
export function isCovered(folder: string, text: string, segments: readonly string[]): boolean {
  const path = pathOf(folder, text);
  if (!existsSync(path)) return false;
  const there = new Set(segments);
  const covered = readJsonFile(path, coverageSchema, 'delete the file, and run the program cache again');
  return covered.segments.every((name) => there.has(name));
}

export function recordCoverage(folder: string, text: string, segments: readonly string[]): void {
  publishFile(pathOf(folder, text), [new TextEncoder().encode(`${JSON.stringify({ segments })}\n`)]);
}
