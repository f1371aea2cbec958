import { RANK, SHAPES } from './shapes.js';
import type { Part, Scale } from './sittingParts.js';
import { productsOf } from './sittingParts.js';

/** A line of JSON that a part printed. */
export type Result = Readonly<Record<string, unknown>>;

export interface PartResult {
  readonly part: string;
  readonly status: 'ok' | 'failed' | 'stopped' | 'skipped';
  readonly seconds: number;
  /** Why it is not ok. */
  readonly note: string;
  readonly results: readonly Result[];
}

/** pass: the goal is reached | below goal: the floor is | fail | measured: there is no goal | incomplete | not measured */
export type Verdict = 'pass' | 'below goal' | 'fail' | 'measured' | 'incomplete' | 'not measured';

export interface Measure {
  readonly measure: string;
  readonly unit: string;
  readonly value: number | null;
  readonly peer: number | null;
  /** Ours by the peer's. */
  readonly ratio: number | null;
  /** Of the ratio. */
  readonly goal: number | null;
  readonly floor: number | null;
  readonly verdict: Verdict;
  /** Why it is not measured. */
  readonly note: string;
}

export interface Summary {
  readonly adapter: unknown;
  readonly device: unknown;
  readonly matrices: unknown;
  readonly commit: unknown;
  readonly date: string;
  readonly scale: Scale;
  readonly parts: readonly Omit<PartResult, 'results'>[];
  readonly measures: readonly Measure[];
}

const MATMUL = { goal: 0.5, floor: 0.25 };
const JOINT_STEP = { goal: 1, floor: 0.4 };

/** Results by the names of their parts. */
class Results {
  readonly #parts: ReadonlyMap<string, PartResult>;

  constructor(parts: readonly PartResult[]) {
    this.#parts = new Map(parts.map((part) => [part.part, part]));
  }

  all(part: string): readonly Result[] {
    return this.#parts.get(part)?.results ?? [];
  }

  last(part: string): Result | undefined {
    return this.all(part).at(-1);
  }

  /** Why a part has no result. */
  note(part: string): string {
    const status = this.#parts.get(part)?.status ?? 'not run yet';
    return status === 'ok' ? `no such number from ${part}` : `${part} ${status}`;
  }
}

/** null for what is no number: JSON has no NaN. */
const number = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;
const scaled = (value: unknown, factor: number): number | null => {
  const known = number(value);
  return known === null ? null : known * factor;
};

interface Found {
  readonly measure: string;
  readonly unit: string;
  readonly value: number | null;
  readonly peer?: number | null;
  readonly goal?: number;
  readonly floor?: number;
  /** Where it is not the ratio's. */
  readonly verdict?: Verdict;
  readonly note: string;
}

function judge({ measure, unit, value, peer = null, goal, floor, verdict, note }: Found): Measure {
  const ratio = value !== null && peer !== null && peer > 0 ? value / peer : null;
  const judged = (): Verdict => {
    if (value === null) return 'not measured';
    if (goal === undefined || floor === undefined) return 'measured';
    if (ratio === null) return 'measured';
    return ratio >= goal ? 'pass' : ratio >= floor ? 'below goal' : 'fail';
  };
  const given = value === null ? 'not measured' : (verdict ?? judged());
  const shown = value === null || (goal !== undefined && ratio === null) ? note : '';
  return {
    ...{ measure, unit, value, peer, ratio, goal: goal ?? null, floor: floor ?? null },
    ...{ verdict: given, note: shown },
  };
}

function opTests(results: Results): Measure {
  const { passed, failed, of, errors } = results.last('ops') ?? {};
  const [right, wrong, all] = [number(passed), number(failed), number(of)];
  const verdict = wrong ? 'fail' : right === all ? 'pass' : 'incomplete';
  const note = [errors].flat()[0] ?? (right === all ? '' : results.note('ops'));
  const found = judge({
    measure: 'op tests, of all cases',
    unit: 'cases',
    value: right,
    peer: all,
    verdict,
    note: '',
  });
  return { ...found, note: String(note) };
}

/** Products that are thin on one side wait for memory: they have a ratio, but no goal. */
function products(results: Results, scale: Scale): Measure[] {
  return [...productsOf(scale)].map(([label, sides]) => {
    const ours = results.all('matmul').find((result) => result.case === label);
    const peers = results.all('matmul-torch').find((result) => result.case === sides.join(' x '));
    return judge({
      ...{ measure: label, unit: 'TFLOP/s' },
      ...{ value: scaled(ours?.gflops, 1e-3), peer: scaled(peers?.gflops, 1e-3) },
      ...(Math.min(...sides) > RANK ? MATMUL : {}),
      note: ours ? results.note('matmul-torch') : results.note('matmul'),
    });
  });
}

function attention(results: Results): Measure[] {
  const note = results.note('attention');
  const found = results.all('attention');
  if (found.length === 0) return [judge({ measure: 'attention', unit: 'TFLOP/s', value: null, note })];
  return found.map((result) =>
    judge({ measure: String(result.case), unit: 'TFLOP/s', value: scaled(result.gflops, 1e-3), note }),
  );
}

/** A step's speed, and the peer's best. */
function stepSpeed(results: Results, measure: string, part: string, peers: readonly string[] = []) {
  const best = bestPeer(results, peers);
  return {
    ...{ measure, unit: 'tokens/s' },
    ...{ value: number(results.last(part)?.tokens_per_s), peer: number(best?.tokens_per_s_best) },
    note: results.last(part) ? peers.map((peer) => results.note(peer)).join('; ') : results.note(part),
  };
}

function bestPeer(results: Results, peers: readonly string[]): Result | undefined {
  const speed = (result: Result) => number(result.tokens_per_s_best) ?? 0;
  return peers
    .flatMap((peer) => results.all(peer))
    .sort((a, b) => speed(b) - speed(a))
    .at(0);
}

const JOINT_PEERS = ['joint-torch-naive', 'joint-torch-chunked'];

/** What else the joint step says: memory beside the peer's, the host's share, whether its numbers are numbers. */
function jointStep(results: Results, scale: Scale): Measure[] {
  const step = results.last('joint');
  const note = results.note('joint');
  const peer = number(bestPeer(results, JOINT_PEERS)?.peak_gib);
  const gib = (measure: string, bytes: unknown) =>
    judge({ measure, unit: 'GiB', value: scaled(bytes, 2 ** -30), peer, note });
  const ce = number(step?.ce);
  const largest = 2 * Math.log(SHAPES[scale.shape].student.vocabulary);
  return [
    gib('memory of the joint step, planned', step?.planned_bytes),
    gib('memory of the joint step, in use', step?.gpu_bytes),
    hostShare(results, 'joint'),
    hostShare(results, 'cpt'),
    judge({
      ...{ measure: 'cross-entropy of the joint step', unit: 'nats/token', value: ce, note },
      verdict: ce !== null && ce > 0 && ce < largest ? 'pass' : 'fail',
    }),
    sameBits(results),
  ];
}

function hostShare(results: Results, part: string): Measure {
  const inKernels = number(results.last(part)?.in_kernels);
  return judge({
    ...{ measure: `host's share of the ${part} step`, unit: '%', note: results.note(part) },
    value: inKernels === null ? null : 100 * (1 - inKernels),
  });
}

function sameBits(results: Results): Measure {
  const [first, second] = ['joint', 'joint-again'].map((part) => results.last(part)?.digest);
  const both = first !== undefined && second !== undefined;
  return judge({
    ...{ measure: 'bits of two runs, 1: equal', unit: '', value: both ? Number(first === second) : null },
    verdict: first === second ? 'pass' : 'fail',
    note: results.note(first === undefined ? 'joint' : 'joint-again'),
  });
}

/** Everything that is known after some parts. */
export function summarize(scale: Scale, parts: readonly Part[], done: readonly PartResult[]): Summary {
  const results = new Results(done);
  const adapter = results.last('adapter');
  const measured = done.flatMap((part) => part.results).find((result) => result.commit !== undefined);
  return {
    ...{ adapter: adapter?.adapter, device: measured?.description, matrices: adapter?.matrices },
    ...{ commit: measured?.commit, date: new Date().toISOString(), scale },
    parts: parts.map(({ name }) => {
      const { results: _, ...ending } = done.find(({ part }) => part === name) ?? {
        ...{ part: name, status: 'skipped' as const, seconds: 0, note: 'not run yet', results: [] },
      };
      return ending;
    }),
    measures: [
      opTests(results),
      ...products(results, scale),
      ...attention(results),
      judge(stepSpeed(results, `${scale.smollm.shape} step on the GPU`, 'smollm2-gpu')),
      judge(stepSpeed(results, `${scale.smollm.shape} step on the CPU`, 'smollm2-cpu')),
      judge({
        ...{ measure: 'tuning', unit: 's', note: results.note('tuning') },
        value: number(results.last('tuning')?.seconds),
      }),
      judge(stepSpeed(results, 'CPT step alone', 'cpt', ['cpt-torch'])),
      judge({ ...stepSpeed(results, 'joint step', 'joint', JOINT_PEERS), ...JOINT_STEP }),
      ...jointStep(results, scale),
    ],
  };
}

/** The summary as lines of text. */
export function tableOf({ adapter, device, commit, date, parts, measures }: Summary): string {
  const digits = (value: number | null) =>
    value === null ? '' : value >= 100 ? value.toFixed(0) : value.toPrecision(3);
  const share = (value: number | null) => (value === null ? '' : value.toFixed(2));
  const rows = measures.map(({ measure, unit, value, peer, ratio, goal, floor, verdict, note }) => [
    ...[measure, digits(value), unit, digits(peer), share(ratio), share(goal), share(floor)],
    note === '' ? verdict : `${verdict} (${note})`,
  ]);
  const all = [['measure', 'value', 'unit', "peer's", 'ratio', 'goal', 'floor', 'verdict'], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const isNumber = (column: number) => [1, 3, 4, 5, 6].includes(column);
  const lines = all.map((row) =>
    row
      .map((cell, column) => {
        if (column === row.length - 1) return cell;
        return isNumber(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!);
      })
      .join('  '),
  );
  const ended = parts
    .filter(({ status }) => status !== 'ok')
    .map(({ part, status, note }) => `${part} ${status}: ${note}`);
  const head = `${device ?? adapter ?? 'no adapter'}, commit ${commit ?? 'unknown'}, ${date}`;
  return `${[head, '', ...lines, '', ...ended].join('\n')}\n`;
}
