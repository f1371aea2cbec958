import { z } from 'zod';

const path = z.string('expected a path').min(1, 'expected a path');

/** What a study's file says of measures (docs/measures.md). Paths may be relative to the file. */
export const measuresSchema = z.strictObject({
  /** A text of another kind than what is trained on. */
  unrelated: path.optional(),
  /** Files of prompts with completions, by the name that `exact_match.NAME` gets. */
  examples: z
    .record(z.string().regex(/^[\w-]+$/, 'expected a name of letters, digits, _ and -'), path)
    .default({}),
  /** Of every start, once. */
  sharpness: z.boolean('expected true or false').default(false),
  /** What adapters do to the weights while they are trained: `CellRecord.dynamics`. */
  dynamics: z.boolean('expected true or false').default(true),
});

export type WantedMeasures = z.infer<typeof measuresSchema>;
