import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root folder (compiled tests live in build/tests). */
export const projectRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** A path inside the optional folder of models and texts, or undefined where it is absent (then skip visibly). */
export function sharedPath(...parts: string[]): string | undefined {
  const path = join(process.env.RIVULET_SHARED ?? join(projectRoot, '../shared'), ...parts);
  return existsSync(path) ? path : undefined;
}

/** A fresh folder under the system's temporary folder. */
export function temporaryFolder(label: string): string {
  return mkdtempSync(join(tmpdir(), `rivulet-${label}-`));
}
