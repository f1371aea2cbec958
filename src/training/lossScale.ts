import { DivergedError } from '../base/errors.js';
import type { LossScaleState } from '../messages.js';

const FIRST_SCALE = 2 ** 6;
/** Gradients are sums over tokens, each of order 1 at the logits: more than this no gradient needs. */
const LARGEST_SCALE = 2 ** 14;
/** An overflow at this scale is of a gradient above 6e7, or of one that is no number at any scale. */
const SMALLEST_SCALE = 2 ** -10;
/** Batches without an overflow after which twice the scale is tried (as torch.amp.GradScaler, but sooner). */
const GROWTH_INTERVAL = 500;

/**
 * Dynamic loss scaling (Micikevicius et al. 2018): gradients that are kept as halves are scaled up, so that small ones
 * don't vanish; where one overflows, its batch is skipped and the scale halved. Always a power of two, so that scaling
 * itself rounds nothing.
 */
export class LossScale {
  #state: LossScaleState;

  constructor(state: LossScaleState = { scale: FIRST_SCALE, steady: 0, skipped: 0 }) {
    this.#state = state;
  }

  get state(): LossScaleState {
    return this.#state;
  }

  get value(): number {
    return this.#state.scale;
  }

  get skipped(): number {
    return this.#state.skipped;
  }

  /**
   * Counts a batch.
   * @param overflowed its gradient is not finite
   * @throws DivergedError when it is so at the smallest scale: without that, every later batch would be skipped as well
   */
  count(overflowed: boolean): void {
    const { scale, steady, skipped } = this.#state;
    if (overflowed && scale <= SMALLEST_SCALE) {
      throw new DivergedError(
        `expected a finite gradient, found one that is not at the smallest loss scale, ${scale}, after ${skipped} ` +
          'skipped batches; lower --lr, or use --kernels f32',
      );
    }
    if (overflowed) this.#state = { scale: scale / 2, steady: 0, skipped: skipped + 1 };
    else if (steady + 1 < GROWTH_INTERVAL || scale >= LARGEST_SCALE)
      this.#state = { scale, steady: steady + 1, skipped };
    else this.#state = { scale: 2 * scale, steady: 0, skipped };
  }
}
