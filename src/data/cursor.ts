import { z } from 'zod';
import { placeSchema } from './documents/position.js';
import type { Cursor } from './packing.js';

const natural = z.int().min(0);

/** The form of a cursor, for one that comes from a file. */
export const cursorSchema: z.ZodType<Cursor> = z.strictObject({
  epoch: natural,
  place: placeSchema,
  pair: natural,
  row: natural,
  emitted: natural,
  skipped: natural,
  blockEpochs: natural.min(1).optional(),
});
