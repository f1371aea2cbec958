import { runProgram } from '#src/cli/program.js';
import { loraShapes, parameterCount, targetModules } from '#src/model/lora.js';
import { stepTime } from '#src/training/stepTime.js';
import { configOf, SHAPES } from './shapes.js';

/**
 * Prints what the published run (Llama-3.2-1B learns from Llama-3.1-8B-Instruct) is expected to take on 8 to 256 GPUs, by the
 * model of a step's time. Nothing of it is measured but the costs that docs/scaling.md says were.
 */

const RUN = { flops: 1.0e20, tokens: 5e9, rows: 512, sequence: 1024, rowsOfMicroBatch: 2 };
const GPU = { flops: 1e14, update: 0.02, jitter: 0.02 };
const GPUS_OF_MACHINE = 8;
/** Of bytes in memory and of the link that is used, as measured; of messages, assumed. */
const COSTS = { hostByte: 0.46e-9, message: 20e-6, used: 0.62 };
const GBITS = [10, 100, 400];
const RANKS = [8, 32, 128];
const GPUS = [8, 16, 32, 64, 128, 256];
const SHARE = 0.1;
const HOUR = 3600;

/** Seconds of a byte that a rank sends, on the link that its machine has for all its GPUs; inside of it bytes are copied alone. */
function sentByte(gpus: number, gbit: number): number {
  const outside = Math.max(0, gpus - GPUS_OF_MACHINE) / (gpus - 1);
  return (outside * 8 * GPUS_OF_MACHINE) / (gbit * 1e9 * COSTS.used);
}

function cellOf(
  gpus: number,
  gbit: number,
  rank: number,
): { readonly hours: number; readonly share: number } {
  const { rows, sequence, rowsOfMicroBatch, flops, tokens } = RUN;
  const lora = { rank, alpha: rank, rsLora: false, dropout: 0, targetModules: targetModules(['all-linear']) };
  const elements = parameterCount(loraShapes(configOf(SHAPES.llama.student), lora));
  const microBatches = rows / rowsOfMicroBatch;
  const steps = tokens / (rows * sequence);
  const costs = {
    microBatch: flops / steps / microBatches / GPU.flops,
    sentByte: sentByte(gpus, gbit),
    ...{ update: GPU.update, jitter: GPU.jitter, hostByte: COSTS.hostByte, message: COSTS.message },
  };
  const { total, host, sent, messages } = stepTime(
    { ranks: gpus, microBatches, elements, crowding: 1 },
    costs,
  );
  return { hours: (steps * total) / HOUR, share: (host + sent + messages) / total };
}

await runProgram(async () => {
  const columns = RANKS.flatMap((rank) => GBITS.map((gbit) => ({ rank, gbit })));
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  const out = (text: string) => process.stdout.write(text);
  out(row(['GPUs', ...columns.map(({ rank, gbit }) => `r ${rank}, ${gbit}`)]));
  out(row(['---', ...columns.map(() => '---')]));
  for (const gpus of GPUS) {
    const cells = columns.map(({ rank, gbit }) => {
      const { hours, share } = cellOf(gpus, gbit, rank);
      const percent = `${Math.round(100 * share)} %`;
      return `${hours.toFixed(1)} h, ${share > SHARE ? `**${percent}**` : percent}`;
    });
    out(row([String(gpus), ...cells]));
  }
});
