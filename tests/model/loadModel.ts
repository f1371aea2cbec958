import { openDevice } from '#src/devices/openDevice.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { evaluationModule } from '#src/model/programs.js';
import { loadWeights, sourcesOf } from '#src/model/weights.js';

/** Loads the model in a folder (the argument) and prints, in bytes, what the process held before and at most. */
const folder = process.argv[2]!;
const device = await openDevice('wasm', { threads: 1 });
const before = process.memoryUsage.rss();
const checkpoint = openModelFiles(folder);
const module = evaluationModule(checkpoint, { rows: 1, sequence: 8 });
const session = await device.compile(module.module);
await loadWeights(session, sourcesOf(checkpoint), module.weights);
const peak = process.resourceUsage().maxRSS * 1024;
process.stdout.write(JSON.stringify({ before, peak }));
await device.close();
