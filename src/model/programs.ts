import { Builder } from '../program/builder.js';
import { addGradients } from '../program/gradients.js';
import { jointLossHead } from '../program/ops/joint_loss_head.js';
import { linear } from '../program/ops/linear.js';
import { type AdamWOptions, accumulate, adamw, fold, sumOfSquares } from '../program/ops/optimizer.js';
import { withRecompute } from '../program/recompute.js';
import type { Module, Value } from '../program/types.js';
import { type CachePrograms, type CacheShape, declareCache } from './cachePrograms.js';
import { levelsOf, programOf } from './gradientTree.js';
import { declareLora, type LoraOptions, type LoraValues } from './lora.js';
import { declareTrained, type ForwardModel, type Trained } from './trained.js';
import { type ForwardInputs, forward } from './transformer.js';
import { declareWeights, headName, headOf, type ModelFiles, type ModelWeights } from './weights.js';

/** Rows of a replay and tokens of a row. */
export interface BatchShape {
  readonly rows: number;
  readonly sequence: number;
}

const tokensOf = ({ rows, sequence }: BatchShape): number => rows * sequence;

function declareInputs(b: Builder, shape: BatchShape): ForwardInputs & { labels: Value } {
  const tokens = tokensOf(shape);
  return {
    tokens: b.value('input', 'tokens', [tokens], 'u32'),
    labels: b.value('input', 'labels', [tokens], 'i32'),
    positions: b.value('input', 'positions', [tokens], 'u32'),
    sequence: shape.sequence,
  };
}

/** The teacher's module: program `forward` reads tokens and positions and leaves the hidden states. */
export interface TeacherModule {
  readonly module: Module;
  readonly weights: ModelWeights;
  readonly tokens: Value;
  readonly positions: Value;
  /** [T, D] */
  readonly hidden: Value;
}

export function teacherModule(files: ModelFiles, shape: BatchShape): TeacherModule {
  const b = new Builder();
  const weights = declareWeights(b, files, shape.sequence);
  const { tokens, positions, sequence } = declareInputs(b, shape);
  let hidden: Value | undefined;
  b.program('forward', { arena: 'forward' }, () => {
    hidden = forward(b, weights, { tokens, positions, sequence, forHost: true });
  });
  return { module: b.module(), weights, tokens, positions, hidden: hidden! };
}

export interface Objective {
  /** L = alpha D(teacher, student) + (1 - alpha) CE. */
  readonly alpha: number;
  readonly temperature: number;
  readonly divergence: 'forward-kl' | 'reverse-kl' | 'jsd';
  /** Of jsd. */
  readonly beta: number;
}

export interface StudentOptions {
  readonly student: ModelFiles;
  /** Its head scores the teacher's hidden states; none without distillation. */
  readonly teacher?: ModelFiles | undefined;
  /** The adapter that is trained; absent: every weight of the student is. */
  readonly lora?: LoraOptions | undefined;
  readonly objective: Objective;
  readonly optimizer: AdamWOptions;
  /** Activations inside the blocks are computed once more in the backward pass instead of kept for it. */
  readonly recompute: boolean;
  /** Gradients are kept as halves: they are multiplied by the scalar `loss_scale`. */
  readonly lossScaling: boolean;
  /** Micro-batches of a batch: their gradients are added in a fixed tree (gradientTree.ts). */
  readonly microBatches: number;
  readonly train: BatchShape;
  readonly evaluate: BatchShape;
  /** Caches that evaluations read prompts with; none where they score text alone. */
  readonly caches?: EvaluationCaches<CacheShape> | undefined;
}

/** Of an evaluation: what compares choices, a prompt at a time, and what writes answers, several at once. */
export interface EvaluationCaches<T> {
  readonly choices?: T | undefined;
  readonly written?: T | undefined;
}

/** What the host writes, replay by replay, and reads. */
export interface StepValues {
  readonly tokens: Value;
  readonly labels: Value;
  readonly positions: Value;
  readonly seedStep: Value;
  readonly place: Value;
  readonly teacherHidden: Value | undefined;
  /** f32 [T], per token */
  readonly ce: Value;
  readonly kl: Value;
}

export interface OptimizerValues {
  readonly step: Value;
  readonly learningRate: Value;
  /** That of the B factors of adapters (LoRA+). */
  readonly learningRateB: Value;
  readonly scale: Value;
  readonly clip: Value;
  readonly lossScale: Value | undefined;
  /** f32 [tensors]: squared norms of the micro-batch's and of the batch's gradient (sums, not yet divided). */
  readonly microSquares: Value;
  readonly squares: Value;
  readonly first: ReadonlyMap<string, Value>;
  readonly second: ReadonlyMap<string, Value>;
  readonly gradients: ReadonlyMap<string, Value>;
}

export interface EvaluationValues {
  readonly tokens: Value;
  readonly labels: Value;
  readonly positions: Value;
  /** f32 [T, D], after the final norm */
  readonly hidden: Value;
  readonly ce: Value;
  /** i32 [T]: the likeliest token, see `jointLossHead`. */
  readonly argMax: Value;
}

/**
 * The student's module. Programs: `step` (forward and backward of a micro-batch, gradients added to the running sum),
 * `keep_L` and `merge_L` (partial sums, see gradientTree.ts), `update` (clip, AdamW, gradients back to 0), `evaluate`
 * (forward with the adapter's snapshot), and those of caches, with the snapshot too.
 */
export interface StudentModule {
  readonly module: Module;
  readonly trained: Trained;
  readonly teacherHead: Value | undefined;
  readonly step: StepValues;
  readonly optimizer: OptimizerValues;
  readonly evaluate: EvaluationValues;
  readonly caches: EvaluationCaches<CachePrograms>;
}

/** The teacher's head lives in the student's module under this prefix. */
export const TEACHER_PREFIX = 'teacher.';

export function studentModule(options: StudentOptions): StudentModule {
  const b = new Builder();
  const { student, teacher, lora, train, evaluate, caches = {} } = options;
  const room = [caches.choices, caches.written].map((shape) => shape?.capacity ?? 0);
  const positions = Math.max(train.sequence, evaluate.sequence, ...room);
  const trained = declareTrained(b, student, lora, positions);
  const teacherHead = teacher && declareTeacherHead(b, teacher);
  const optimizer = declareOptimizer(b, trained.values, options.lossScaling);
  const step = declareStep(b, options, trained, teacherHead, optimizer);
  declareFolds(b, optimizer.gradients, levelsOf(options.microBatches));
  declareUpdate(b, trained.values, optimizer, options.optimizer);
  const evaluation = declareEvaluation(b, trained.evaluation, evaluate);
  const cached = declareCaches(b, trained.evaluation, caches);
  return { module: b.module(), trained, teacherHead, step, optimizer, evaluate: evaluation, caches: cached };
}

/** An evaluation does one thing after the other: all of it shares the storage of activations. */
function declareCaches(
  b: Builder,
  model: ForwardModel,
  { choices, written }: EvaluationCaches<CacheShape>,
): EvaluationCaches<CachePrograms> {
  const declare = (shape: CacheShape | undefined, prefix: string) =>
    shape && declareCache(b, model, shape, 'evaluate', prefix);
  return { choices: declare(choices, 'choices.'), written: declare(written, 'written.') };
}

function declareTeacherHead(b: Builder, { config, tensors }: ModelFiles): Value {
  const dtype = { F32: 'f32', F16: 'f16', BF16: 'bf16' }[tensors.get(headName(config))!.dtype as 'F32'];
  const shape = [config.vocabularySize, config.hiddenSize];
  return b.value('weight', TEACHER_PREFIX + headName(config), shape, dtype as 'f32');
}

function declareOptimizer(
  b: Builder,
  trained: ReadonlyMap<string, Value>,
  lossScaling: boolean,
): OptimizerValues {
  const scalar = (name: string) => b.value('scalar', name, [1]);
  const like = (role: 'gradient' | 'state', prefix: string) =>
    new Map([...trained].map(([name, value]) => [name, b.value(role, prefix + name, value.shape)]));
  const tensors = Math.max(1, trained.size);
  return {
    step: scalar('optimizer_step'),
    learningRate: scalar('learning_rate'),
    learningRateB: scalar('learning_rate_b'),
    scale: scalar('gradient_scale'),
    clip: scalar('clip'),
    lossScale: lossScaling ? scalar('loss_scale') : undefined,
    microSquares: b.value('output', 'micro_squares', [tensors]),
    squares: b.value('output', 'squares', [tensors]),
    gradients: like('gradient', 'gradient.'),
    first: like('state', 'first_moment.'),
    second: like('state', 'second_moment.'),
  };
}

function declareStep(
  b: Builder,
  { teacher, lora, objective, recompute, train }: StudentOptions,
  { values, training }: Trained,
  teacherHead: Value | undefined,
  optimizer: OptimizerValues,
): StepValues {
  const { labels, ...inputs } = declareInputs(b, train);
  const seedStep = b.value('scalar', 'seed_step', [2], 'u32');
  const place = b.value('input', 'place', [tokensOf(train)], 'u32');
  const teacherHidden =
    teacher && b.value('input', 'teacher_hidden', [tokensOf(train), teacher.config.hiddenSize]);
  let losses: { ce: Value; kl: Value } | undefined;
  b.program('step', { arena: 'train' }, () => {
    const key = lora && lora.dropout > 0 ? { dropoutKey: { seedStep, place } } : {};
    const hidden = forward(b, training.weights, { ...inputs, ...key }, training.lora);
    const { lossScale } = optimizer;
    const heads = { hidden, head: headOf(training.weights), teacherHidden, teacherHead, labels, lossScale };
    losses = jointLossHead(b, heads, { ...objective, gradient: true, headGradient: !lora });
    const indices = new Map([...values].map(([name, value], index) => [value, { name, index }]));
    const backward = () =>
      addGradients(b, (parameter, gradient) => {
        const { name, index } = indices.get(parameter)!;
        accumulate(b, optimizer.gradients.get(name)!, gradient, optimizer.microSquares, index);
      });
    const reached = recompute ? withRecompute(b, backward) : backward();
    if (reached.size !== values.size)
      throw new Error(`Gradients reach ${reached.size} of ${values.size} tensors`);
  });
  const { tokens, positions } = inputs;
  return { tokens, labels, positions, seedStep, place, teacherHidden, ...losses! };
}

/** Programs that move partial sums of gradients between the running sum and where they wait. */
function declareFolds(b: Builder, gradients: ReadonlyMap<string, Value>, levels: number): void {
  for (let level = 1; level <= levels; level++) {
    const pairs = [...gradients].map(
      ([name, sum]) => [sum, b.value('gradient', `gradient_${level}.${name}`, sum.shape)] as const,
    );
    b.program(programOf({ kind: 'keep', level }), { arena: 'train' }, () => {
      for (const [sum, waiting] of pairs) fold(b, waiting, sum);
    });
    b.program(programOf({ kind: 'merge', level }), { arena: 'train' }, () => {
      for (const [sum, waiting] of pairs) fold(b, sum, waiting);
    });
  }
}

function declareUpdate(
  b: Builder,
  trained: ReadonlyMap<string, Value>,
  optimizer: OptimizerValues,
  options: AdamWOptions,
): void {
  const { squares, first, second, gradients } = optimizer;
  b.program('update', { arena: 'train' }, () => {
    [...gradients.values()].forEach((gradient, index) => {
      sumOfSquares(b, gradient, squares, index);
    });
    for (const [name, parameter] of trained) {
      const target = { parameter, gradient: gradients.get(name)!, m: first.get(name)!, v: second.get(name)! };
      const learningRate = name.endsWith('.lora_B.weight') ? optimizer.learningRateB : optimizer.learningRate;
      // Norms and biases are not decayed: pulling them to 0 regularises nothing.
      const weightDecay = parameter.shape.length > 1 ? options.weightDecay : 0;
      adamw(b, target, squares, { ...optimizer, learningRate }, { ...options, weightDecay });
    }
  });
}

function declareEvaluation(b: Builder, { weights, lora }: ForwardModel, shape: BatchShape): EvaluationValues {
  let values: EvaluationValues | undefined;
  b.program('evaluate', { arena: 'evaluate', scope: 'evaluate.' }, () => {
    const { tokens, labels, positions, sequence } = declareInputs(b, shape);
    const hidden = forward(b, weights, { tokens, positions, sequence }, lora);
    const heads = { hidden, head: headOf(weights), labels };
    const objective = { alpha: 0, temperature: 1, gradient: false, argMax: true };
    const { ce, argMax } = jointLossHead(b, heads, objective);
    values = { tokens, labels, positions, hidden, ce, argMax: argMax! };
  });
  return values!;
}

/** Tokens whose logits are formed at once. */
const LOGITS_TOKENS = 64;

/**
 * A model that is only evaluated, with an adapter or without. Programs: `evaluate` and, after it, `logits`; those of a cache
 * where there is one.
 */
export interface EvaluationModule {
  readonly module: Module;
  readonly weights: ModelWeights;
  readonly lora: LoraValues | undefined;
  readonly evaluate: EvaluationValues;
  /** Logits [64, V] of 64 hidden states [64, D], for those who want to see them. */
  readonly logits: { readonly hidden: Value; readonly logits: Value };
  readonly cache: CachePrograms | undefined;
}

export function evaluationModule(
  files: ModelFiles,
  shape: BatchShape,
  options?: LoraOptions,
  cacheShape?: CacheShape,
): EvaluationModule {
  const b = new Builder();
  const weights = declareWeights(b, files, Math.max(shape.sequence, cacheShape?.capacity ?? 0));
  const lora = options && declareLora(b, files.config, options, 'state');
  const evaluate = declareEvaluation(b, { weights, lora }, shape);
  const hidden = b.value('input', 'logits.hidden', [LOGITS_TOKENS, files.config.hiddenSize]);
  let logits: Value | undefined;
  b.program('logits', { arena: 'logits' }, () => {
    logits = linear(b, 'logits', [{ x: hidden, weight: headOf(weights) }]);
  });
  const cache = cacheShape && declareCache(b, { weights, lora }, cacheShape, 'evaluate');
  return { module: b.module(), weights, lora, evaluate, logits: { hidden, logits: logits! }, cache };
}
