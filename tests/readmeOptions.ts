import { CACHE_FLAGS } from '#src/options/cache.js';
import { EVALUATE_FLAGS } from '#src/options/evaluate.js';
import { GENERATE_FLAGS } from '#src/options/generate.js';
import { MERGE_FLAGS } from '#src/options/merge.js';
import { STUDY_OPTIONS } from '#src/options/study.js';
import { flagOf } from '#src/options/table.js';
import { TOKENIZE_FLAGS } from '#src/options/tokenize.js';
import { TRAIN_OPTIONS } from '#src/options/train.js';

type Table = Readonly<Record<string, { value?: string; help: string; default?: unknown; many?: true }>>;

const TABLES: Readonly<Record<string, Table>> = {
  train: TRAIN_OPTIONS,
  evaluate: EVALUATE_FLAGS,
  tokenize: TOKENIZE_FLAGS,
  cache: CACHE_FLAGS,
  study: STUDY_OPTIONS,
  generate: GENERATE_FLAGS,
  merge: MERGE_FLAGS,
};

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** A table of options as the README shows it. */
function markdown(table: Table): string {
  const rows = Object.entries(table).map(([name, { value, help, default: fallback }]) => {
    const flag = value === undefined ? flagOf(name) : `${flagOf(name)} ${value}`;
    const shown = fallback === undefined || fallback === false ? '' : `\`${fallback}\``;
    return `| \`${cell(flag)}\` | ${cell(help)} | ${shown} |`;
  });
  return ['| option | what | default |', '| --- | --- | --- |', ...rows].join('\n');
}

/** The README with its option tables made anew from `options.ts`. */
export function withOptionTables(readme: string): string {
  let result = readme;
  for (const [name, table] of Object.entries(TABLES)) {
    const section = new RegExp(`(<!-- options:${name} -->)[\\s\\S]*?(<!-- /options:${name} -->)`);
    if (!section.test(result)) throw new Error(`README.md has no section for the options of ${name}`);
    result = result.replace(
      section,
      (_, open: string, close: string) => `${open}\n\n${markdown(table)}\n\n${close}`,
    );
  }
  return result;
}
