import { serveTrials } from '#src/devices/webgpu/trialServer.js';

/**
 * A process for trials that makes nothing: it is aborted by a kernel with the text TEST_CRASH, hangs at one with
 * TEST_HANG, and refuses one with TEST_REFUSE.
 */
const { TEST_CRASH, TEST_HANG, TEST_REFUSE } = process.env;

serveTrials(async (_device, { code }) => {
  const has = (text: string | undefined) => text !== undefined && code.includes(text);
  if (has(TEST_CRASH)) process.abort();
  if (has(TEST_HANG)) await new Promise(() => setInterval(() => {}, 1000));
  return has(TEST_REFUSE) ? 'not on this GPU' : undefined;
});
