import { text, toggle } from './schemas.js';
import type { Given, Option } from './table.js';

/** The options of `study`. */
export const STUDY_OPTIONS = {
  config: {
    group: 'run',
    value: 'FILE',
    schema: text,
    help: 'YAML or JSON file that says what is studied (docs/study.md); paths in it are relative to it',
  },
  out: {
    group: 'run',
    value: 'DIR',
    schema: text,
    help: 'folder of the study: its cells, cells.json; given again, the study goes on',
  },
  cells: {
    group: 'run',
    value: 'DIR',
    schema: text.optional(),
    help: 'folder of cells that several studies share (default: OUT/cells)',
  },
  dryRun: {
    group: 'run',
    schema: toggle,
    default: false,
    help: 'print how many cells, tokens and hours the study comes to; train and write nothing',
  },
} as const satisfies Record<string, Option>;

export type StudyInput = Given<typeof STUDY_OPTIONS>;
