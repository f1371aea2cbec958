/**
 * Loaded before a program (`--import`): gives it a terminal for stderr, and sends it SIGINT as soon as it hides the cursor
 * there.
 */
Object.defineProperty(process.stderr, 'isTTY', { value: true });
const write = process.stderr.write.bind(process.stderr) as (...given: unknown[]) => boolean;
let isSent = false;
process.stderr.write = (...given: unknown[]) => {
  if (!isSent && String(given[0]).includes('\x1b[?25l')) {
    isSent = true;
    setImmediate(() => process.kill(process.pid, 'SIGINT'));
  }
  return write(...given);
};
