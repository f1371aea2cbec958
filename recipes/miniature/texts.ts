import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { MiniaturePaths } from '#src/prepare/miniature.js';
import { type Corpora, toJsonl, toLines } from './corpora.js';
import { makeExamples } from './examples.js';

/** Writes the texts that are part of the miniature: to train on, to hold out, and to measure by. */
export function writeTexts(paths: MiniaturePaths, corpora: Corpora): void {
  const { puzzles, arithmetic } = makeExamples(corpora);
  const files = [
    [paths.heldOut, toJsonl(corpora.heldOut)],
    [paths.corpus, toJsonl(corpora.corpus)],
    [paths.general, toJsonl(corpora.general)],
    [paths.puzzles, toLines(puzzles)],
    [paths.arithmetic, toLines(arithmetic)],
  ] as const;
  for (const [path, content] of files) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}
