import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runProgram } from '#src/cli/program.js';
import { type EvalRecord, type StepRecord, type TrainInput, train } from '#src/index.js';
import { type MiniatureResults, miniaturePaths, QUICKSTART, type Reached } from '#src/prepare/miniature.js';
import { tokenizerFiles, trainBpe } from './bpe.js';
import { type Corpora, DOCUMENTS, makeCorpora, toJsonl } from './corpora.js';
import { configOf, copyAsBfloat16, STUDENT, TEACHER, VOCABULARY_SIZE } from './models.js';
import { writeTexts } from './texts.js';

/**
 * Makes the bundled miniature with this project's own trainer: texts from the grammar, a tokenizer, a student and a
 * teacher from scratch, and what runs of the quickstart reach with and without the teacher.
 */

const SEEDS = [0, 1, 2];
/** From scratch. A document that a row cuts loses its beginning, so rows are longer than the quickstart's. */
const FROM_SCRATCH = { trainable: 'all', sequence: 256, batch: 16, warmup: 50, beta2: 0.99 } as const;
const TOKENS = { student: 3_500_000, teacher: 4_500_000 };
const LEARNING_RATE = { student: 4e-3, teacher: 2e-3 };

const paths = miniaturePaths();
const folder = dirname(paths.results);
const work = join(dirname(folder), 'build', 'miniature');
const began = performance.now();

const say = (text: string): void => {
  process.stdout.write(`[${((performance.now() - began) / 60_000).toFixed(1)} min] ${text}\n`);
};

const write = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};
const writeJson = (path: string, value: object): void => write(path, `${JSON.stringify(value, null, 2)}\n`);

/** The text files, and a folder with config and tokenizer for each of the two models. */
function writeInputs(texts: Corpora): void {
  writeTexts(paths, texts);
  const { tokenizer, config } = tokenizerFiles(trainBpe(texts.corpus, VOCABULARY_SIZE));
  for (const [name, shape] of [['student', STUDENT] as const, ['teacher', TEACHER] as const]) {
    write(join(work, `${name}.jsonl`), toJsonl(texts[name]));
    writeJson(join(work, name, 'config.json'), configOf(shape));
    writeJson(join(work, name, 'tokenizer.json'), tokenizer);
    writeJson(join(work, name, 'tokenizer_config.json'), config);
  }
}

/** Trains and tells about it. @returns the held-out losses before and after, and where what was made is */
async function run(
  label: string,
  options: TrainInput,
): Promise<{ before: number; after: number; made: string }> {
  const training = train({ evalData: paths.heldOut, evalEvery: 10_000, ...options });
  const evaluations: EvalRecord[] = [];
  training.metrics$.subscribe({
    next(record) {
      if (record.type === 'eval') evaluations.push(record);
      if (record.type === 'step' && record.step % 50 === 0) say(`${label}: ${stepText(record)}`);
    },
    error: () => {},
  });
  const { adapter, model } = await training.finished;
  const [before, after] = [evaluations[0]!.nll, evaluations.at(-1)!.nll];
  say(`${label}: held-out loss ${before.toFixed(4)} -> ${after.toFixed(4)}`);
  return { before, after, made: (adapter ?? model)! };
}

const stepText = ({ step, loss, tokens_per_s }: StepRecord): string =>
  `step ${step}, loss ${loss.toFixed(3)}, ${Math.round(tokens_per_s)} tokens/s`;

async function makeModel(name: 'student' | 'teacher'): Promise<void> {
  const { made } = await run(name, {
    ...FROM_SCRATCH,
    ...{ fromConfig: join(work, name, 'config.json'), data: [join(work, `${name}.jsonl`)] },
    ...{ tokens: TOKENS[name], lr: LEARNING_RATE[name], out: join(work, 'runs', name) },
    checkpointEvery: 10_000,
  });
  copyAsBfloat16(made, paths[name]);
}

/** The quickstart with each seed. */
async function reach(name: string, teacher: string): Promise<{ bare: number; reached: Reached }> {
  const runs = [];
  const folderName = name.toLowerCase().replaceAll(' + ', '-');
  for (const seed of SEEDS) {
    const options = { ...QUICKSTART, student: paths.student, teacher, data: [paths.corpus] };
    runs.push(
      await run(`${name}, seed ${seed}`, {
        ...options,
        ...{ seed, out: join(work, 'runs', `${folderName}-${seed}`) },
      }),
    );
  }
  return { bare: runs[0]!.before, reached: summarize(runs.map(({ after }) => after)) };
}

function summarize(nll: number[]): Reached {
  const mean = nll.reduce((sum, value) => sum + value, 0) / nll.length;
  const squares = nll.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { nll, mean, spread: Math.sqrt(squares / (nll.length - 1)) };
}

/** The teacher as it is stored, on the windows of the quickstart: the evaluation before a step that changes nothing. */
async function teacherLoss(): Promise<number> {
  const { sequence, evalTokens } = QUICKSTART;
  const out = join(work, 'runs', 'teacher-loss');
  const options = { student: paths.teacher, data: [paths.corpus], sequence, evalTokens };
  return (await run('teacher as it is', { ...options, batch: 1, steps: 1, out })).before;
}

async function compare(): Promise<MiniatureResults> {
  const teacher = await teacherLoss();
  const cpt = await reach('CPT', 'none');
  const cptKd = await reach('CPT + KD', paths.teacher);
  const options = { ...QUICKSTART };
  return { options, seeds: SEEDS, student: cpt.bare, teacher, cpt: cpt.reached, cptKd: cptKd.reached };
}

await runProgram(async () => {
  for (const old of [folder, work]) rmSync(old, { recursive: true, force: true });
  writeInputs(makeCorpora(DOCUMENTS));
  say('texts and tokenizer are written');
  await makeModel('student');
  await makeModel('teacher');
  const results = await compare();
  writeJson(paths.results, results);
  const row = ({ mean, spread }: Reached) => `${mean.toFixed(4)} +- ${spread.toFixed(4)}`;
  say(`bare ${results.student.toFixed(4)}, CPT ${row(results.cpt)}, CPT + KD ${row(results.cptKd)}`);
});
