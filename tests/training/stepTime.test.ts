import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fitStepCosts, type MeasuredStep, type StepCosts, stepTime } from '#src/training/stepTime.js';
import { projectRoot } from '../support.js';

/** The model of a step's time, held to steps and exchanges that were measured (bench/ranks.ts, bench/exchange.ts). */

interface Measured {
  readonly name: string;
  readonly way?: string;
  readonly ranks: number;
  readonly microBatches: number;
  readonly adapter_rank: number;
  readonly elements: number;
  readonly seconds_p20: number;
  readonly seconds_p50: number;
  readonly seconds_p80: number;
}

const MOST = 0.15;
/**
 * Of the machine that was measured; a rank has one thread. With both cores at work each takes 1.1 times as long: steps of 2
 * ranks over half of one rank's, where the adapter is small.
 */
const [CORES, BOTH] = [2, 1.1];
/** From the 20th percentile of a normal distribution to the 80th, in standard deviations. */
const SPREAD = 1.683;

const recorded = readFileSync(join(projectRoot, 'bench', 'results', 'ranks-2-cores.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Measured);
const steps = recorded.filter(({ name }) => name === 'ranks');

const asStep = ({ ranks, microBatches, elements, seconds_p50 }: Measured): MeasuredStep => ({
  batch: { ranks, microBatches, elements, crowding: ranks === 1 ? 1 : BOTH * Math.max(1, ranks / CORES) },
  seconds: seconds_p50,
});

/** Of micro-batches, by the spread of steps of one rank. */
function jitterOf(measured: readonly Measured[]): number {
  const alone = measured.filter(({ ranks }) => ranks === 1);
  const deviations = alone.map(
    ({ microBatches, seconds_p20, seconds_p50, seconds_p80 }) =>
      ((seconds_p80 - seconds_p20) / SPREAD / seconds_p50) * Math.sqrt(microBatches),
  );
  return deviations.reduce((a, b) => a + b, 0) / deviations.length;
}

const errorOf = (step: MeasuredStep, costs: StepCosts): number =>
  stepTime(step.batch, costs).total / step.seconds - 1;

const percent = (error: number) => `${(100 * error).toFixed(1)} %`;

const test = suite('time of a step');

/** Errors of the model for steps that it was not fitted on. */
function errorsOf(asked: readonly Measured[], known: readonly Measured[]): number[] {
  const costs = fitStepCosts(known.map(asStep), jitterOf(known));
  const errors = asked.map((measured) => errorOf(asStep(measured), costs));
  for (const [i, { ranks, microBatches, adapter_rank }] of asked.entries()) {
    const what = `${ranks} ranks, batch ${microBatches}, adapter of rank ${adapter_rank}`;
    console.log(`${what}: ${percent(errors[i]!)}, by ${known.length} others`);
  }
  return errors;
}

const assertSmall = (errors: readonly number[]) =>
  errors.forEach((error) => {
    assert.ok(Math.abs(error) < MOST, percent(error));
  });

const ofAdapter = (rank: number) => steps.filter(({ adapter_rank }) => adapter_rank === rank);

test('of 1, 2 and 4 ranks is told within 15 % by all other steps', () => {
  assert.is(steps.length, 18);
  for (const adapter of [8, 128]) {
    const all = ofAdapter(adapter);
    for (const asked of all)
      assertSmall(
        errorsOf(
          [asked],
          all.filter((other) => other !== asked),
        ),
      );
  }
});

test('of 1, 2 and 4 ranks is told within 15 % by steps of other batches', () => {
  for (const adapter of [8, 128]) {
    for (const batch of [16, 32]) {
      const asked = ofAdapter(adapter).filter(({ microBatches }) => microBatches === batch);
      assertSmall(
        errorsOf(
          asked,
          ofAdapter(adapter).filter((other) => !asked.includes(other)),
        ),
      );
    }
  }
});

test('of an exchange over 1 Gbit/s is told by those of smaller adapters', () => {
  const exchanges = recorded.filter(({ way, ranks }) => way === 'two hosts, 1 Gbit/s' && ranks === 2);
  assert.is(exchanges.length, 6);
  const largest = Math.max(...exchanges.map(({ elements }) => elements));
  const costs = fitStepCosts(exchanges.filter(({ elements }) => elements < largest).map(asStep), 0);
  const error = errorOf(asStep(exchanges.find(({ elements }) => elements === largest)!), costs);
  console.log(`exchange of ${largest} numbers: ${percent(error)}`);
  assert.ok(Math.abs(error) < MOST, percent(error));
});

test('has costs that are found again in steps that were made of them', () => {
  const costs = {
    microBatch: 0.04,
    update: 0.01,
    hostByte: 4e-10,
    sentByte: 8e-9,
    message: 1e-4,
    jitter: 0.1,
  };
  const batches = [1, 2, 3, 4, 8].flatMap((ranks) =>
    [8, 24].flatMap((microBatches) =>
      [2e5, 5e6].map((elements) => ({ ranks, microBatches, elements, crowding: Math.max(1, ranks / 4) })),
    ),
  );
  const made = batches.map((batch) => ({ batch, seconds: stepTime(batch, costs).total }));
  const found = fitStepCosts(made, costs.jitter);
  for (const [name, cost] of Object.entries(costs)) {
    const error = found[name as keyof StepCosts] / cost - 1;
    assert.ok(Math.abs(error) < 0.01, `${name}: ${percent(error)}`);
  }
});

test('is compute alone for one rank, and waits for the slowest of several', () => {
  const costs = { microBatch: 1, update: 0.5, hostByte: 0, sentByte: 0, message: 0, jitter: 0.1 };
  const of = (ranks: number, microBatches: number) =>
    stepTime({ ranks, microBatches, elements: 10, crowding: 1 }, costs);
  assert.is(of(1, 8).total, 8.5);
  assert.is(of(3, 8).compute, 3.5);
  // The largest of two normal numbers is 1 / sqrt(pi) of a standard deviation above the mean.
  const exact = (0.1 * Math.sqrt(4)) / Math.sqrt(Math.PI);
  assert.ok(Math.abs(of(2, 8).straggler / exact - 1) < 0.05);
});

test.run();
