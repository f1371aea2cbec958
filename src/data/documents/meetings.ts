import { excerpt } from '../../base/errors.js';
import { QMSUM_DEFAULTS, type QmsumOptions } from '../../options/qmsum.js';
import type { Example, MeetingQuery } from '../examples.js';
import { Problem } from './problems.js';
import { exampleOfJson, parseJson } from './records.js';
import type { ReadOptions } from './text.js';

/** Meetings with queries about them, one a record, as QMSum is published. */

type Fields = Readonly<Record<string, unknown>>;

const TURNS = 'meeting_transcripts';
const GENERAL = 'general_query_list';
const SPECIFIC = 'specific_query_list';
const SPANS = 'relevant_text_span';

/** What an element of a `.jsonl` or `.json` file holds: of a meeting its queries, each or what is wrong with it. @throws Problem */
export function examplesOfJson(
  json: string,
  { textColumn, qmsum = QMSUM_DEFAULTS, decodeIds }: ReadOptions,
): Example | readonly (Example | Problem)[] {
  if (textColumn === undefined && json.includes(`"${TURNS}"`)) {
    const record = parseJson(json);
    if (isObject(record) && Object.hasOwn(record, TURNS)) return queriesOf(record, qmsum);
  }
  return exampleOfJson(json, textColumn, decodeIds);
}

/** @throws Problem for a transcript that is none, or where there is no list of queries */
function queriesOf(meeting: Fields, options: QmsumOptions): readonly (MeetingQuery | Problem)[] {
  const turns = turnsOf(meeting[TURNS]);
  const general = options.queries === 'all' ? listOf(meeting, GENERAL) : [];
  const isWhole = options.transcript === 'whole';
  const read = (list: string, transcriptOf: (query: Fields) => string) => (query: unknown, i: number) =>
    orProblem(`${list}[${i}]`, () => queryOf(query, transcriptOf));
  const all = turns.join('\n');
  const whole = () => all;
  const spans = (query: Fields) => turnsIn(query[SPANS], turns).join('\n');
  return [
    ...general.map(read(GENERAL, whole)),
    ...listOf(meeting, SPECIFIC).map(read(SPECIFIC, isWhole ? whole : spans)),
  ];
}

function listOf(meeting: Fields, name: string): readonly unknown[] {
  const list = meeting[name];
  if (Array.isArray(list)) return list;
  throw new Problem(
    `expected ${name} of a meeting to be a list of queries, found ${excerpt(list)}; mend the record`,
  );
}

/** Each turn as a line; line breaks in it stay. */
function turnsOf(value: unknown): readonly string[] {
  if (!Array.isArray(value)) {
    throw new Problem(`expected ${TURNS} to be a list of turns, found ${excerpt(value)}; mend the record`);
  }
  return value.map((turn, i) => {
    const { speaker, content } = isObject(turn) ? turn : {};
    if (typeof speaker === 'string' && typeof content === 'string') return `${speaker}: ${content}`;
    throw new Problem(
      `${TURNS}[${i}]: expected speaker and content that are texts, found ${excerpt(turn)}; mend the record`,
    );
  });
}

function orProblem<T>(where: string, read: () => T): T | Problem {
  try {
    return read();
  } catch (error) {
    if (error instanceof Problem) return new Problem(`${where}: ${error.message}`);
    throw error;
  }
}

function queryOf(value: unknown, transcriptOf: (query: Fields) => string): MeetingQuery {
  if (!isObject(value)) {
    throw new Problem(`expected an object with query and answer, found ${excerpt(value)}; mend the record`);
  }
  const [query, answer] = [wordsIn(value, 'query'), wordsIn(value, 'answer')];
  return { query, answer, transcript: transcriptOf(value) };
}

/** White space around it, which the data has here and there, says nothing. */
function wordsIn(query: Fields, field: string): string {
  const value = query[field];
  if (typeof value === 'string' && /\S/.test(value)) return value.trim();
  throw new Problem(`expected a text as ${field}, found ${excerpt(value)}; mend or delete the query`);
}

/** The turns in spans [from, to], numbers from 0 or digits, both ends included: each turn once, in the meeting's order. */
function turnsIn(spans: unknown, turns: readonly string[]): readonly string[] {
  if (!Array.isArray(spans) || spans.length === 0) {
    throw new Problem(
      `expected ${SPANS} with pairs of turns, found ${excerpt(spans)}; mend the record, or read whole meetings ` +
        '(--qmsum transcript=whole)',
    );
  }
  const chosen = new Set<number>();
  for (const span of spans) {
    const [from, to] = Array.isArray(span) && span.length === 2 ? span.map(turnNumber) : [];
    if (from === undefined || to === undefined || from > to || to >= turns.length) {
      throw new Problem(
        `expected ${SPANS} with pairs of turns from 0 to ${turns.length - 1}, found ${excerpt(span)}; mend the record`,
      );
    }
    for (let turn = from; turn <= to; turn++) chosen.add(turn);
  }
  return turns.filter((_, turn) => chosen.has(turn));
}

function turnNumber(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return Number.isInteger(number) && (number as number) >= 0 ? (number as number) : undefined;
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
