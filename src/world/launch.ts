import { InputError } from '../base/errors.js';

/** MPI libraries of one family find each other by their own launcher alone. */
export type Family = 'Open MPI' | 'MPICH';

/** What a launcher says of a process in its environment. */
export interface Launch {
  readonly rank: number;
  /** Undefined where the launcher leaves it to MPI. */
  readonly size: number | undefined;
  /** Whose library is looked for first. */
  readonly family: Family;
  /** Whether that family's launcher is the only one that sets these variables; Slurm starts both. */
  readonly only: boolean;
  /** The variables, for errors: `PMI_RANK=1 PMI_SIZE=4`. */
  readonly seen: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const HOW = 'start all ranks with mpirun -np N or srun --mpi=pmix -n N';

/**
 * How this process was started among others; undefined when it was started alone, as in the shell of a batch script.
 * @throws InputError when only a part of what a launcher sets is there, or a launcher's that has no MPI
 */
export function launchOf(env: Environment): Launch | undefined {
  if (env.OMPI_COMM_WORLD_RANK !== undefined || env.OMPI_COMM_WORLD_SIZE !== undefined) {
    return ranked(env, 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'Open MPI', true);
  }
  // Shells that srun started are steps of one task, and so is everything that is started in them.
  const isHydra = env.MPI_LOCALNRANKS !== undefined || env.HYDI_CONTROL_FD !== undefined;
  if (env.SLURM_STEP_NUM_TASKS === '1' && !isHydra) return undefined;
  if (env.PMI_RANK !== undefined || env.PMI_SIZE !== undefined) {
    return ranked(env, 'PMI_RANK', 'PMI_SIZE', 'MPICH', isHydra);
  }
  // A batch script's shell has a SLURM_PROCID, and the SLURM_NTASKS of its job, but is no task of a step.
  if (env.SLURM_STEP_NUM_TASKS !== undefined) {
    return ranked(env, 'SLURM_PROCID', 'SLURM_STEP_NUM_TASKS', 'Open MPI', false);
  }
  if (env.PMIX_RANK !== undefined) {
    const rank = numbered(env, 'PMIX_RANK', 0);
    return { rank, size: undefined, family: 'Open MPI', only: false, seen: seenOf(env, ['PMIX_RANK']) };
  }
  refuseWithoutMpi(env);
  return undefined;
}

/** Whether this process is the one of its world that prints; known before it has come among the others. */
export const isSpokesman = (): boolean => (launchOrNone(process.env)?.rank ?? 0) === 0;

/** Whether a launcher started this process. */
export const isLaunched = (): boolean => launchOrNone(process.env) !== undefined;

/** As `launchOf`; what is wrong about a start is told where the process comes among the others. */
export function launchOrNone(env: Environment): Launch | undefined {
  try {
    return launchOf(env);
  } catch {
    return undefined;
  }
}

function ranked(env: Environment, rankName: string, sizeName: string, family: Family, only: boolean): Launch {
  const seen = seenOf(env, [rankName, sizeName]);
  const missing = [rankName, sizeName].find((name) => env[name] === undefined);
  if (missing) throw new InputError(`expected ${missing} beside ${seen}, found none; ${HOW}`);
  const size = numbered(env, sizeName, 1);
  const rank = numbered(env, rankName, 0);
  if (rank >= size) throw new InputError(`expected a rank below its world's size, found ${seen}; ${HOW}`);
  return { rank, size, family, only, seen };
}

/** `torchrun` and Kubernetes operators for PyTorch say who is who, and leave it to PyTorch to find each other. */
function refuseWithoutMpi(env: Environment): void {
  if (!/^\d+$/.test(env.WORLD_SIZE ?? '') || Number(env.WORLD_SIZE) <= 1) return;
  const seen = seenOf(env, ['RANK', 'WORLD_SIZE', 'LOCAL_RANK']);
  const launcher = env.TORCHELASTIC_RUN_ID === undefined ? '' : ' of torchrun';
  throw new InputError(
    `expected ranks that MPI started, found ${seen}${launcher} alone; start with mpirun -np ${env.WORLD_SIZE}, or unset WORLD_SIZE`,
  );
}

function numbered(env: Environment, name: string, least: number): number {
  const text = env[name]!;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && Number.isSafeInteger(value)) return value;
  throw new InputError(
    `expected a whole number from ${least} as ${name}, found ${JSON.stringify(text)}; ${HOW}`,
  );
}

const seenOf = (env: Environment, names: readonly string[]): string =>
  names.flatMap((name) => (env[name] === undefined ? [] : [`${name}=${env[name]}`])).join(' ');
