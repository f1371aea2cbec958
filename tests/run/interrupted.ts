/** Loaded before a program (`--import`): sends it SIGINT as soon as it listens for that. */
process.on('newListener', (event) => {
  if (event === 'SIGINT') setImmediate(() => process.kill(process.pid, 'SIGINT'));
});
