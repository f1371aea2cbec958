import * as assert from 'uvu/assert';
import { type Device, PRIORITY, type Session } from '#src/devices/device.js';
import { Builder } from '#src/program/builder.js';
import { linear } from '#src/program/ops/linear.js';
import type { Module } from '#src/program/types.js';

export interface DeviceKind {
  /** As `--device`, for threads with a device of their own. */
  readonly device: 'wasm' | 'webgpu';
  open(): Promise<Device>;
  /** Of the long program: enough for a pool to turn to another session in between. */
  readonly calls: number;
  /** Ways in which what computes can die: a device, and what kills it. */
  readonly deaths: Readonly<Record<string, () => Promise<{ readonly device: Device; kill(): unknown }>>>;
}

export type Compile = (module: Module) => Promise<Session>;

export const [ROWS, DEPTH, WIDTH] = [3, 4, 5];

/** y = x W^T, y = -x W^T and z = y + x W^T, in programs of their own. */
export function products(): Module {
  const b = new Builder();
  const x = b.value('input', 'x', [ROWS, DEPTH]);
  const weight = b.value('weight', 'w', [WIDTH, DEPTH]);
  const y = b.value('output', 'y', [ROWS, WIDTH]);
  const z = b.value('output', 'z', [ROWS, WIDTH]);
  const scales = (scale: number) => ({ scale, scale2: 1 });
  b.program('once', { arena: 'a' }, () => b.call('linear', [null, x, weight, null, null], [y], scales(1)));
  b.program('negated', { arena: 'a' }, () =>
    b.call('linear', [null, x, weight, null, null], [y], scales(-1)),
  );
  b.program('twice', { arena: 'a' }, () => b.call('linear', [y, x, weight, null, null], [z], scales(1)));
  return b.module();
}

export const LARGE = 256;

/** x W^T W^T ... in one long program of so many calls, and a product of the same operands in a short one. */
export function long(count: number): Module {
  const b = new Builder();
  const x = b.value('input', 'x', [LARGE, LARGE]);
  const weight = b.value('weight', 'w', [LARGE, LARGE]);
  b.program('long', { arena: 'long' }, () => {
    let y = x;
    for (let call = 0; call < count; call++) y = linear(b, 'y', [{ x: y, weight }]);
  });
  b.program('short', { arena: 'short' }, () => linear(b, 'short', [{ x, weight }]));
  return b.module();
}

export const INPUT = Float32Array.from({ length: ROWS * DEPTH }, (_, i) => i - 5);
export const WEIGHT = Float32Array.from({ length: WIDTH * DEPTH }, (_, i) => (i % 7) - 3);
export const PRODUCT = Float32Array.from({ length: ROWS * WIDTH }, (_, at) => {
  const [i, j] = [Math.floor(at / WIDTH), at % WIDTH];
  return Array.from({ length: DEPTH }, (_, k) => INPUT[i * DEPTH + k]! * WEIGHT[j * DEPTH + k]!).reduce(
    (a, b) => a + b,
  );
});

export async function fill(session: Session): Promise<Session> {
  await session.write(session.value('x'), INPUT);
  await session.write(session.value('w'), WEIGHT);
  return session;
}

/** The message of what `run` throws or rejects with, which is one line. */
export async function messageOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    const { message } = error as Error;
    assert.not.match(message, /\p{Cc}/u);
    return message;
  }
  return assert.unreachable('expected an error, found none') as never;
}

export const CLOSED = /the session is closed/;

/** Each way to ask something of a session of `products`. */
export const calls = (session: Session): (() => unknown)[] => {
  const value = session.value('x');
  return [
    () => session.run('once'),
    async () => {
      const { accepted, done } = session.submit('once', PRIORITY.student, [value]);
      const [before, after] = await Promise.allSettled([accepted, done]);
      if (before.status === 'rejected' && after.status === 'rejected') throw after.reason;
    },
    () => session.read(value),
    () => session.write(value, INPUT),
    () => session.profile(),
  ];
};

export async function expectClosed(session: Session): Promise<void> {
  for (const call of calls(session)) assert.match(await messageOf(call), CLOSED);
}

/**
 * Starts programs, one behind the other, and resolves in the middle of them: once the device has all of them, or has
 * done a part.
 */
export async function amid(
  session: Session,
  programs: readonly string[] = ['long'],
): Promise<{ readonly done: Promise<unknown> }> {
  const replays = programs.map((program) => session.submit(program, PRIORITY.student, []));
  const { accepted } = replays.at(-1)!;
  let isAccepted = false;
  accepted
    .finally(() => {
      isAccepted = true;
    })
    .catch(() => {});
  const begun = async () => {
    while (!isAccepted && (await session.profile()).every(({ calls }) => calls === 0)) {
      await new Promise(setImmediate);
    }
  };
  await Promise.race([accepted, begun()]);
  return { done: Promise.all(replays.map(({ done }) => done)) };
}
