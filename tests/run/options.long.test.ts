import { existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { excerpt } from '#src/base/errors.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { readRunFile } from '#src/formats/runFile.js';
import { readFloat32 } from '#src/formats/safetensors.js';
import { flagOf } from '#src/options/table.js';
import { isOperational, type TRAIN_OPTIONS } from '#src/options/train.js';
import { resolveOptions } from '#src/prepare/resolveOptions.js';
import { MEETING, meetingLines, OTHER } from '../data/meetings.js';
import { makeChatFiles, makeFixture, makeJsonl, makeText } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { loopCases } from './loopCases.js';
import { type Case, otherAdapter, sameAdapter } from './optionCase.js';
import { modelOf, type Outcome, outcomeOf, recordsOf } from './outcome.js';

/** Every option of the table, on its way to where it counts. */

const fixture = makeFixture('options');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'options-'));
const secondText = join(fixture.folder, 'second.txt');
writeFileSync(secondText, makeText(9, 300));
const twoColumns = join(fixture.folder, 'columns.jsonl');
writeFileSync(twoColumns, `${JSON.stringify({ text: makeText(7, 900), other: makeText(8, 900) })}\n`);
const meetings = join(fixture.folder, 'meetings.jsonl');
writeFileSync(meetings, meetingLines([MEETING, OTHER]));
const { chat, plainTemplate, otherTemplate } = makeChatFiles(fixture.folder);
const documents = makeJsonl(2, 40);
const textAndIds = join(fixture.folder, 'ids.jsonl');
const otherIds = Array.from((await loadTokenizer(fixture.student)).encode(makeText(8, 900)));
writeFileSync(textAndIds, `${JSON.stringify({ text: makeText(7, 900), input_ids: otherIds })}\n`);
const withBad = join(fixture.folder, 'bad.jsonl');
writeFileSync(withBad, `{"text":\n${documents}`);
const configFile = join(fixture.folder, 'run.yaml');
writeFileSync(configFile, 'checkpoint-every: 1\n');

const base: TrainInput = {
  student: fixture.student,
  data: [fixture.text],
  ...{ batch: 4, sequence: 16, steps: 2, evalFraction: 0 },
  ...{ threads: 1, lr: 1e-2, warmup: 0, schedule: 'constant' },
  // All rows of the texts: the default has the loader read 2 M tokens before the first step.
  shuffleRows: 64,
};

const checkpointsOf = ({ out }: Outcome) => readdirSync(join(out, 'checkpoints')).sort();
/** With GPUs here or with none. */
const NO_SUCH_GPU = /^(--device webgpu:nothing like it: expected one of the GPUs|Expected a GPU)/;

const taught = { teacher: fixture.teacher };
/** Rows are shorter than conversations. */
const chatty: Partial<TrainInput> = { data: [chat], chatTemplate: plainTemplate, longDocuments: 'split' };
const evaluated = { evalFraction: 0.3, evalTokens: 64 };
const earlier = await outcomeOf({ ...base, seed: 5 });

/** Steps of 4 rows of 16 tokens in half of the fixture's text: 500 words and 45 full stops. */
const HALF_AN_EPOCH = Math.ceil(545 / 2 / 64);

const cases: Record<keyof typeof TRAIN_OPTIONS, Case> = {
  student: { change: { student: fixture.teacher } },
  teacher: { change: taught },
  teacherCache: {
    beside: { ...taught, packing: 'best-fit' },
    change: { teacherCache: freshFolder() },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      assert.ok(readdirSync(String(readRunFile(changed.out)!.options.teacherCache)).length > 0);
    },
  },
  teacherCacheDtype: {
    beside: { ...taught, teacherCache: freshFolder() },
    change: { teacherCacheDtype: 'bf16', teacherCache: freshFolder() },
  },
  trainable: {
    change: { trainable: 'all' },
    check: (changed) => {
      assert.ok(modelOf(changed).size > 0 && !existsSync(join(changed.out, 'adapter')));
    },
  },
  fromConfig: {
    change: { fromConfig: join(fixture.student, 'config.json'), student: undefined, trainable: 'all' },
    check: (changed) => {
      const norm = readFloat32(modelOf(changed).get('model.norm.weight')!);
      assert.ok(norm.every((x) => Math.abs(x - 1) < 0.5));
    },
  },
  saveDtype: {
    beside: { trainable: 'all' },
    change: { saveDtype: 'bf16' },
    check: (changed) => assert.ok([...modelOf(changed).values()].every(({ dtype }) => dtype === 'BF16')),
  },
  data: { change: { data: [secondText, fixture.text] } },
  textColumn: { beside: { data: [twoColumns] }, change: { textColumn: 'other' } },
  idsTokenizer: {
    beside: { data: [textAndIds] },
    change: { idsTokenizer: fixture.student },
  },
  chatTemplate: {
    beside: chatty,
    change: { chatTemplate: otherTemplate },
  },
  lossOn: { beside: chatty, change: { lossOn: 'all' } },
  qmsum: {
    // Rows are shorter than what is asked.
    beside: { data: [meetings], longDocuments: 'split' },
    change: { qmsum: { transcript: 'whole' } },
  },
  separator: { change: { separator: '.' } },
  onBadDocument: {
    beside: { data: [fixture.jsonl] },
    change: { onBadDocument: 'skip', data: [withBad] },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      const [first, ...others] = recordsOf(changed, 'step').map((record) => record.skipped_documents);
      assert.is(first!.total, 1);
      assert.match(first!.found[0]!, /bad\.jsonl: line 1, byte 0: expected JSON, found /);
      assert.ok(others.every((told) => told === undefined));
    },
  },
  ...{ bos: { change: { bos: 'never' } }, eos: { change: { eos: true }, beside: { separator: '.' } } },
  sequence: { change: { sequence: 17 } },
  batch: { change: { batch: 5 } },
  microBatch: {
    change: { microBatch: 1 },
    check: (changed, plain) => {
      assert.is(recordsOf(plain, 'start')[0]!.micro_batch, 4);
      assert.is(readRunFile(plain.out)!.options.microBatch, 4, 'what was chosen holds for a resume');
      assert.is(recordsOf(changed, 'start')[0]!.micro_batch, 1);
    },
  },
  shuffleRows: { beside: { shuffleRows: undefined }, change: { shuffleRows: 1 } },
  packing: {
    beside: { separator: '.' },
    change: { packing: 'best-fit' },
    check: (changed, plain) => {
      otherAdapter(changed, plain);
      assert.is(readRunFile(plain.out)!.options.packing, 'stream', 'what was chosen holds for a resume');
      const [padded, full] = [changed, plain].map((outcome) => recordsOf(outcome, 'step').at(-1)!);
      assert.is(full!.padding, 0);
      assert.is(full!.tokens, 2 * 4 * 16);
      assert.ok(padded!.padding > 0 && padded!.tokens < full!.tokens);
    },
  },
  longDocuments: { change: { longDocuments: 'truncate' } },
  examples: { beside: { separator: '.' }, change: { examples: 5 } },
  evalFraction: { beside: { separator: '.' }, change: { evalFraction: 0.5, evalTokens: 64 } },
  evalData: {
    beside: evaluated,
    change: { evalData: secondText, evalFraction: 0 },
    check: (changed, plain) => {
      otherAdapter(changed, plain);
      assert.is.not(recordsOf(changed, 'eval')[0]!.nll, recordsOf(plain, 'eval')[0]!.nll);
    },
  },
  evalTokens: {
    beside: evaluated,
    change: { evalTokens: 32 },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      // A window of 16 tokens predicts 15.
      assert.is(recordsOf(plain, 'eval')[0]!.tokens, 60);
      assert.is(recordsOf(changed, 'eval')[0]!.tokens, 30);
    },
  },
  steps: { change: { steps: 3 }, check: (changed) => assert.is(recordsOf(changed, 'step').length, 3) },
  tokens: {
    change: { tokens: 4 * 16 * 3 + 1 },
    check: (changed) => assert.is(recordsOf(changed, 'step').length, 4),
  },
  epochs: {
    beside: { steps: undefined, tokens: 64 },
    change: { tokens: undefined, epochs: 0.5 },
    check: (changed) => assert.is(recordsOf(changed, 'step').length, HALF_AN_EPOCH),
  },
  alpha: { beside: taught, change: { alpha: 0.6 } },
  divergence: { beside: taught, change: { divergence: 'reverse-kl' } },
  beta: { beside: { ...taught, divergence: 'jsd' }, change: { beta: 0.2 } },
  temperature: { beside: taught, change: { temperature: 2 } },
  rank: { change: { rank: 4 } },
  loraAlpha: { change: { loraAlpha: 1 } },
  rslora: { change: { rslora: true } },
  loraDropout: { change: { loraDropout: 0.5 } },
  targetModules: { change: { targetModules: 'q_proj,up_proj' } },
  rankPattern: { change: { rankPattern: { q_proj: 4 } } },
  alphaPattern: { change: { alphaPattern: { q_proj: 1 } } },
  init: { change: { init: join(earlier.out, 'adapter') } },
  lr: { change: { lr: 2e-2 } },
  warmup: { change: { warmup: 3 } },
  schedule: { change: { schedule: 'linear' } },
  decay: { beside: { schedule: 'wsd' }, change: { decay: 1 } },
  loraPlus: { change: { loraPlus: 4 } },
  weightDecay: { change: { weightDecay: 0.1 } },
  beta1: { change: { beta1: 0.5 } },
  beta2: { change: { beta2: 0.5 } },
  epsilon: { change: { epsilon: 1e-2 } },
  clip: { change: { clip: 0.01 } },
  device: { change: { device: 'webgpu:nothing like it' }, refused: NO_SUCH_GPU },
  teacherDevice: {
    change: { teacherDevice: 'webgpu:nothing like it' },
    beside: taught,
    refused: NO_SUCH_GPU,
  },
  // What these two do on a GPU, tests/run/webgpu.test.ts tells.
  kernels: {
    change: { kernels: 'f32' },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      assert.is(recordsOf(changed, 'start')[0]!.options.kernels, 'f32');
    },
  },
  tune: {
    change: { tune: 'off' },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      assert.is(recordsOf(changed, 'start')[0]!.options.tune, 'off');
    },
  },
  threads: {
    change: { threads: 2 },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      assert.match(recordsOf(changed, 'start')[0]!.device, /^2 threads/);
    },
  },
  recompute: {
    change: { recompute: 'on' },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      const recorded = [changed, plain].map(({ out }) => readRunFile(out)!.options.recompute);
      assert.equal(recorded, ['on', 'off']);
    },
  },
  seed: { change: { seed: 6 } },
  out: {
    change: { out: join(freshFolder(), 'elsewhere') },
    check: (changed) => assert.match(changed.out, /elsewhere$/),
  },
  resume: {
    change: { resume: true, out: earlier.out, seed: 5 },
    check: (changed) => assert.equal(recordsOf(changed, 'step'), []),
  },
  config: {
    change: { config: configFile },
    check: (changed) => assert.equal(checkpointsOf(changed), ['step-00000001', 'step-00000002']),
  },
  dryRun: {
    change: { dryRun: true, resume: true, out: earlier.out, seed: 5 },
    check: ({ records }) => assert.ok(records.every(({ type }) => type === 'progress')),
  },
  fork: {
    change: { fork: `${earlier.out}@2`, seed: 5, steps: 3 },
    check: (changed) =>
      assert.equal(
        recordsOf(changed, 'step').map(({ step }) => step),
        [3],
      ),
  },
  evalEvery: {
    beside: { ...evaluated, steps: 3 },
    change: { evalEvery: 2 },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      assert.equal(
        recordsOf(plain, 'eval').map(({ step }) => step),
        [0, 3],
      );
      assert.equal(
        recordsOf(changed, 'eval').map(({ step }) => step),
        [0, 2, 3],
      );
    },
  },
  ...loopCases({ evaluated, chatty }),
  rankTimeout: { change: { rankTimeout: 5 }, check: sameAdapter },
  checkpointEvery: {
    change: { checkpointEvery: 1 },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      assert.equal(checkpointsOf(plain), ['step-00000002']);
      assert.equal(checkpointsOf(changed), ['step-00000001', 'step-00000002']);
    },
  },
  keep: {
    beside: { checkpointEvery: 1 },
    change: { keep: 1 },
    check: (changed) => assert.equal(checkpointsOf(changed), ['step-00000002']),
  },
};

const arrival = suite('every option arrives');
const plainOutcomes = new Map<string, Promise<Outcome>>();

/** The run without the change; many cases share one. */
function plainOutcome(options: TrainInput): Promise<Outcome> {
  const key = JSON.stringify(options);
  const outcome = plainOutcomes.get(key) ?? outcomeOf(options);
  plainOutcomes.set(key, outcome);
  return outcome;
}

for (const [name, { change, beside, refused, check = otherAdapter }] of Object.entries(cases)) {
  arrival(flagOf(name), async () => {
    const { steps, ...others } = { ...base, ...beside };
    if (refused) {
      assert.match(await inputErrorOf(() => outcomeOf({ ...others, steps, ...change })), refused);
      return;
    }
    const plain = await plainOutcome({ ...others, ...(steps && { steps }) });
    check(await outcomeOf({ ...others, ...(name !== 'tokens' && steps && { steps }), ...change }), plain);
  });
}

arrival.run();

const resumes = suite('--resume');
const stored = freshFolder();
writeFileSync(
  join(stored, 'run.json'),
  JSON.stringify({
    version: '0.1.0',
    options: { ...base, teacher: 'elsewhere', init: 'elsewhere', evalData: 'text.txt' },
  }),
);

for (const [name, { change }] of Object.entries(cases)) {
  // saveDtype.long.test.ts and lengths tests have the others.
  if (['out', 'resume', 'steps', 'tokens', 'epochs', 'saveDtype'].includes(name)) continue;
  const value = change[name as keyof TrainInput];
  if (isOperational(name)) {
    resumes(`${flagOf(name)} may change`, () => {
      const { options } = resolveOptions({ resume: true, out: stored, [name]: value });
      assert.is(options[name as keyof typeof options], value);
      assert.is(options.lr, base.lr);
    });
  } else {
    resumes(`${flagOf(name)} may not change`, async () => {
      const message = await inputErrorOf(() => resolveOptions({ resume: true, out: stored, [name]: value }));
      const before = base[name as keyof TrainInput] ?? '';
      assert.match(message, `${flagOf(name)} ${before}`);
      const isMap = typeof value === 'object' && !Array.isArray(value);
      assert.match(message, `(found ${isMap ? excerpt(value) : value})`);
    });
  }
}

resumes('the same options may be given again, as text too', () => {
  const again = { ...base, batch: '4', lr: '0.01', resume: true, out: stored };
  assert.is(resolveOptions(again).options.batch, 4);
});

resumes('a folder that holds a run is refused without it', async () => {
  const message = await inputErrorOf(() => train({ ...base, out: earlier.out }).finished);
  assert.match(message, `--out: expected a folder without a run, found one in ${earlier.out}; add --resume`);
});

resumes.run();
