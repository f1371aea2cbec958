import type { Panel, Style } from './chart.js';
import { range } from './format.js';

/** What a report is made of, before it is HTML or Markdown. All text is plain. */

export interface LegendItem {
  readonly name: string;
  readonly style: Style;
}

export interface Plot {
  readonly title: string;
  /** What the numbers show, what they don't, and how marks are to be read. */
  readonly caption: string;
  readonly legend: readonly LegendItem[];
  readonly panels: readonly Panel[];
}

/** A table's cell: as it is shown, and what it is sorted by where that is another thing. */
export type TableCell = string | { readonly text: string; readonly sort: number };

export interface Table {
  readonly title: string;
  readonly caption: string;
  /** `numeric` ones are set to the right. */
  readonly columns: readonly { readonly name: string; readonly numeric?: boolean }[];
  readonly rows: readonly (readonly TableCell[])[];
}

export interface Section {
  readonly title: string;
  /** Sentences, a paragraph each. */
  readonly text: readonly string[];
  /** Sentences, a bullet each. */
  readonly points: readonly string[];
  readonly plots: readonly Plot[];
  readonly tables: readonly Table[];
}

export interface Report {
  readonly title: string;
  readonly lead: string;
  readonly sections: readonly Section[];
  /** The config file, as JSON. */
  readonly config: string;
}

export const numberCell = (value: number | undefined, show: (value: number) => string): TableCell =>
  value === undefined ? '' : { text: show(value), sort: value };

/** An interval, sorted by its lower end. */
export const rangeCell = (
  interval: readonly [low: number, high: number] | undefined,
  show: (value: number) => string,
): TableCell => (interval ? { text: range(interval, show), sort: interval[0] } : '');
