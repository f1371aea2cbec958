import { InputError } from '../../base/errors.js';
import { NO_LABEL, type Row } from '../../data/packing/rows.js';
import type { Device, Session } from '../../devices/device.js';
import { type StudentModule, type StudentOptions, studentModule } from '../../model/programs.js';
import { Curvature, type FixedBatch } from './curvature.js';
import { type Eigenvalue, type LanczosOptions, largestEigenvalue } from './lanczos.js';

/** Rows of a micro-batch hold about this many tokens. */
const MICRO_BATCH_TOKENS = 1024;

/** What `sharpness` looks through unless told otherwise. */
export const SHARPNESS: LanczosOptions = { iterations: 24, tolerance: 1e-2, seed: 0 };

/**
 * The largest eigenvalue of the Hessian of the mean loss over a fixed batch, in what is trained, at the parameters that are
 * in the session; they are the same afterwards.
 * @throws InputError where gradients are kept as halves, whose rounding hides their differences
 */
export async function sharpness(
  session: Session,
  module: StudentModule,
  batch: FixedBatch,
  options: LanczosOptions = SHARPNESS,
): Promise<Eigenvalue> {
  if (module.optimizer.lossScale) throw needsFloats();
  const curvature = await Curvature.at(session, module, batch);
  try {
    return await largestEigenvalue(curvature.size, (v) => curvature.product(v), options);
  } finally {
    await curvature.restore();
  }
}

/** What to say of a device whose gradients are too coarse. */
export const needsFloats = (): InputError =>
  new InputError(
    'sharpness: expected a device that keeps gradients in f32, found one that halves them; use --kernels f32 or --device wasm',
  );

/**
 * The sharpness of a start: of the cross-entropy of rows of text, without a teacher and without dropout.
 * @param student the model and what is trained of it
 * @param fill writes frozen weights and the parameters to start from into the session
 */
export async function startSharpness(
  device: Device,
  student: Pick<StudentOptions, 'student' | 'lora'>,
  rows: readonly Row[],
  fill: (session: Session, module: StudentModule) => Promise<void>,
  options: LanczosOptions = SHARPNESS,
): Promise<Eigenvalue> {
  if (device.info.lossScaling) throw needsFloats();
  const labelled = rows.filter(({ labels }) => labels.some((label) => label !== NO_LABEL));
  if (labelled.length === 0)
    throw new InputError('sharpness: expected text with a token to predict, found none');
  const sequence = labelled[0]!.tokens.length;
  const together = Math.min(labelled.length, Math.max(1, Math.floor(MICRO_BATCH_TOKENS / sequence)));
  const batch = fixedBatch(labelled, together);
  const shape = { rows: together, sequence };
  const module = studentModule({
    ...student,
    ...(student.lora && { lora: { ...student.lora, dropout: 0 } }),
    teacher: undefined,
    objective: { alpha: 0, temperature: 1, divergence: 'forward-kl', beta: 0.5 },
    optimizer: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 },
    ...{ recompute: false, lossScaling: false, microBatches: batch.length },
    ...{ train: shape, evaluate: { rows: 1, sequence } },
  });
  const session = await device.compile(module.module);
  try {
    await fill(session, module);
    return await sharpness(session, module, batch, options);
  } finally {
    await session.close();
  }
}

/** Rows as micro-batches of `together` rows, the last one filled up with rows without labels. */
export function fixedBatch(rows: readonly Row[], together: number): FixedBatch {
  const sequence = rows[0]!.tokens.length;
  const size = together * sequence;
  return Array.from({ length: Math.ceil(rows.length / together) }, (_, index) => {
    const part = {
      tokens: new Uint32Array(size),
      labels: new Int32Array(size).fill(NO_LABEL),
      positions: new Uint32Array(size),
      place: Uint32Array.from({ length: size }, (__, i) => index * size + i),
    };
    rows.slice(index * together, (index + 1) * together).forEach((row, i) => {
      part.tokens.set(row.tokens, i * sequence);
      part.labels.set(row.labels, i * sequence);
      part.positions.set(row.positions, i * sequence);
    });
    return { rows: { ...part, step: 1, index }, signal: { kind: 'none' } };
  });
}
