import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type * as Comlink from 'comlink';
import type { Actors } from '../actors/actors.js';
import type { Evaluator } from '../actors/evaluator.js';
import type { StartingMessage } from '../actors/starting.js';
import type { Student } from '../actors/student.js';
import type { Teacher } from '../actors/teacher.js';
import { warnOnce } from '../base/warnings.js';
import type { DeviceHosts } from '../devices/host.js';
import { evaluates } from '../prepare/evaluates.js';
import type { Preparation } from '../prepare/prepare.js';
import type { MetricsRecord } from '../records.js';
import { portOf } from '../world/channel.js';
import type { World } from '../world/world.js';
import { evaluatorSetup, loaderSetup, studentSetup, teacherSetup } from './setups.js';

/** Actors of a run that its owner calls. */
export interface Pipeline {
  readonly student: Comlink.Remote<Student>;
  readonly teacher: Comlink.Remote<Teacher> | undefined;
  readonly evaluator: Comlink.Remote<Evaluator> | undefined;
}

export interface PipelineHooks {
  /** Told how far the start is. */
  readonly emit: (record: MetricsRecord) => void;
  readonly world: World;
  /** Whether other runs on the same text follow in the same threads. */
  readonly keepsRows: boolean;
}

/** Starts loader -> teacher -> student -> evaluator, each in its own thread; resolves once all of them are ready. */
export async function startPipeline(
  prepared: Preparation,
  actors: Actors,
  devices: DeviceHosts,
  { emit, world, keepsRows }: PipelineHooks,
): Promise<Pipeline> {
  // Of --examples 0 nothing is read and nobody is asked: there may be no text to train on.
  const trains = prepared.schedule.steps > 0;
  const teacher = trains ? prepared.teacher : undefined;
  const toTeacher = new MessageChannel();
  const toStudent = teacher ? new MessageChannel() : toTeacher;
  const snapshots = new MessageChannel();
  const student = actors.start<Student>(
    'student',
    studentSetup(prepared, devices.student, {
      ...{ source: toStudent.port2, evaluator: snapshots.port1, progress: startingPort(emit) },
      ranks: portOf(world, 'student'),
    }),
  );
  const toLoader = { port: toTeacher.port1, progress: startingPort(emit), keepsRows };
  const loader = trains && actors.start('loader', loaderSetup(prepared, toLoader));
  const taught =
    teacher &&
    actors.start<Teacher>(
      'teacher',
      teacherSetup(prepared, teacher, devices.teacher, {
        ...{ source: toTeacher.port2, port: toStudent.port1, progress: startingPort(emit) },
      }),
    );
  await Promise.all([student, loader, taught]);
  const ready = await student;
  if (!evaluates(prepared.options)) return { student: ready, teacher: await taught, evaluator: undefined };
  const setup = evaluatorSetup(prepared, devices.student, {
    ...{
      session: await ready.handle(),
      port: snapshots.port2,
      ranks: portOf(world, 'evaluator'),
    },
  });
  return {
    student: ready,
    teacher: await taught,
    evaluator: await actors.start<Evaluator>('evaluator', setup),
  };
}

/** Where an actor says how far its start is. */
function startingPort(emit: PipelineHooks['emit']): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port1.on('message', (message: StartingMessage) => {
    if ('warning' in message) warnOnce(message.warning);
    else emit({ type: 'progress', ...message });
  });
  port1.unref();
  return port2;
}
