import { statSync } from 'node:fs';
import { createServer } from 'node:net';
import { InputError } from '../base/errors.js';

/** Keeps a folder for one run at a time. */
export interface FolderLock {
  /** The one that is locked, whatever has its name later. */
  readonly folder: { readonly dev: bigint; readonly ino: bigint };
  close(): void;
}

/** Another run has the folder. */
export class FolderInUse extends InputError {}

/**
 * Locks a folder for this process, and for one user of it within the process. The lock is a local socket named after
 * the folder's inode that nobody connects to: the system takes it away when the process ends, in whatever way, so that
 * none is left behind by a kill and no process id is mistaken for another one's. It does not reach other machines or
 * containers. Systems without such names (macOS) have no lock.
 * @throws FolderInUse when another run has it
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const { dev, ino } = statSync(folder, { bigint: true });
  const address = addressOf(`rivulet-run-${dev}-${ino}`);
  if (address === undefined) return { folder: { dev, ino }, close() {} };
  const server = createServer((socket) => socket.destroy());
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, resolve);
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new FolderInUse(
      `--out: expected a folder that no other run is using, found one at work in ${folder}; ` +
        'wait for its end or choose another folder',
    );
  }
  server.unref();
  return { folder: { dev, ino }, close: () => void server.close() };
}

function addressOf(name: string): string | undefined {
  if (process.platform === 'linux') return `\0${name}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : undefined;
}
