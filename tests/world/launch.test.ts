import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '#src/base/errors.js';
import { joinWorld } from '#src/world/join.js';
import { launchOf } from '#src/world/launch.js';
import { familyOf, shortVersion } from '#src/world/library.js';
import { aloneEnvironment } from './mpirun.js';

/** What the environment says of how a process was started. */

const launch = suite('launch');

type Environment = Record<string, string>;

const OPEN_MPI = { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '4', OMPI_COMM_WORLD_LOCAL_RANK: '1' };
const HYDRA = { PMI_RANK: '3', PMI_SIZE: '4', PMI_FD: '9', MPI_LOCALRANKID: '1', MPI_LOCALNRANKS: '2' };
const BATCH = {
  SLURM_JOB_ID: '7',
  SLURM_NTASKS: '4',
  SLURM_PROCID: '0',
  SLURM_LOCALID: '0',
  SLURM_NNODES: '2',
};
const STEP = { ...BATCH, SLURM_STEP_ID: '0', SLURM_STEP_NUM_TASKS: '4', SLURM_PROCID: '2' };
const SHELL_STEP = { ...BATCH, SLURM_STEP_ID: '0', SLURM_STEP_NUM_TASKS: '1' };

const ALONE: Record<string, Environment> = {
  nothing: {},
  'the shell of a batch script': BATCH,
  'a shell that srun started': SHELL_STEP,
  'a shell that srun started with PMIx': { ...SHELL_STEP, PMIX_RANK: '0', PMIX_NAMESPACE: 'slurm.pmix.7.0' },
  'a shell that srun started with PMI-2': { ...SHELL_STEP, PMI_RANK: '0', PMI_SIZE: '1', PMI_FD: '9' },
  'a pod of one': { WORLD_SIZE: '1', RANK: '0', MASTER_ADDR: 'pod-0', MASTER_PORT: '29500' },
  'torchrun with one process': { WORLD_SIZE: '1', RANK: '0', LOCAL_RANK: '0', TORCHELASTIC_RUN_ID: 'none' },
  'a rank of something else': { RANK: '12', LOCAL_RANK: '0' },
  'a world of something else': { WORLD_SIZE: 'large' },
  'local ranks alone': { MPI_LOCALRANKID: '0', SLURM_LOCALID: '0', LOCAL_RANK: '0' },
};
for (const [name, environment] of Object.entries(ALONE)) {
  launch(`alone: ${name}`, () => assert.is(launchOf(environment), undefined));
}

const STARTED: [string, Environment, object][] = [
  ["Open MPI's mpirun", OPEN_MPI, { rank: 1, size: 4, family: 'Open MPI', only: true }],
  [
    "Open MPI's mpirun in a batch script",
    { ...BATCH, ...OPEN_MPI },
    { rank: 1, size: 4, family: 'Open MPI' },
  ],
  ["Open MPI's mpirun, whose daemon srun started", { ...STEP, ...OPEN_MPI }, { rank: 1, size: 4 }],
  ["Open MPI's mpirun in a shell that srun started", { ...SHELL_STEP, ...OPEN_MPI }, { rank: 1, size: 4 }],
  ["Open MPI's mpirun with what a cluster adds", { ...OPEN_MPI, RANK: '0', WORLD_SIZE: '2' }, { size: 4 }],
  ['one rank', { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '1' }, { rank: 0, size: 1 }],
  ["MPICH's mpirun", HYDRA, { rank: 3, size: 4, family: 'MPICH', only: true }],
  [
    "MPICH's mpirun in a shell that srun started",
    { ...SHELL_STEP, ...HYDRA },
    { rank: 3, size: 4, only: true },
  ],
  [
    'srun with PMI-2',
    { ...STEP, PMI_RANK: '2', PMI_SIZE: '4' },
    { rank: 2, size: 4, family: 'MPICH', only: false },
  ],
  ['srun with PMIx', { ...STEP, PMIX_RANK: '2' }, { rank: 2, size: 4, family: 'Open MPI', only: false }],
  ['srun without', STEP, { rank: 2, size: 4, only: false, seen: 'SLURM_PROCID=2 SLURM_STEP_NUM_TASKS=4' }],
  ['another launcher with PMIx', { PMIX_RANK: '5' }, { rank: 5, size: undefined, seen: 'PMIX_RANK=5' }],
];
for (const [name, environment, expected] of STARTED) {
  launch(`started: ${name}`, () => {
    const found = launchOf(environment)!;
    for (const [key, value] of Object.entries(expected))
      assert.is(found[key as keyof typeof found], value, key);
  });
}

const REFUSED: [string, Environment, RegExp][] = [
  [
    'a size without a rank',
    { OMPI_COMM_WORLD_SIZE: '4' },
    /^expected OMPI_COMM_WORLD_RANK beside OMPI_COMM_WORLD_SIZE=4, found none; start/,
  ],
  ['a rank without a size', { PMI_RANK: '0' }, /^expected PMI_SIZE beside PMI_RANK=0, found none; start/],
  [
    'tasks without a number',
    { SLURM_STEP_NUM_TASKS: '4' },
    /^expected SLURM_PROCID beside SLURM_STEP_NUM_TASKS=4/,
  ],
  [
    'a rank beyond the world',
    { PMI_RANK: '4', PMI_SIZE: '4' },
    /^expected a rank below its world's size, found PMI_RANK=4 PMI_SIZE=4;/,
  ],
  [
    'no number',
    { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: 'four' },
    /^expected a whole number from 1 as OMPI_COMM_WORLD_SIZE, found "four";/,
  ],
  [
    'nothing as a number',
    { OMPI_COMM_WORLD_RANK: '', OMPI_COMM_WORLD_SIZE: '4' },
    /^expected a whole number from 0 as OMPI_COMM_WORLD_RANK, found "";/,
  ],
  ['a negative one', { PMIX_RANK: '-1' }, /^expected a whole number from 0 as PMIX_RANK, found "-1";/],
  [
    'a world of none',
    { PMI_RANK: '0', PMI_SIZE: '0' },
    /^expected a whole number from 1 as PMI_SIZE, found "0";/,
  ],
  [
    'a huge one',
    { PMI_RANK: '0', PMI_SIZE: '99999999999999999999' },
    /^expected a whole number from 1 as PMI_SIZE/,
  ],
  ['a line break', { PMIX_RANK: '1\n2' }, /^expected a whole number from 0 as PMIX_RANK, found "1\\n2";/],
  [
    'torchrun',
    { RANK: '1', WORLD_SIZE: '4', LOCAL_RANK: '1', TORCHELASTIC_RUN_ID: 'x' },
    /^expected ranks that MPI started, found RANK=1 WORLD_SIZE=4 LOCAL_RANK=1 of torchrun alone; start with mpirun -np 4, or unset WORLD_SIZE$/,
  ],
  [
    'a pod of four',
    { RANK: '1', WORLD_SIZE: '4', MASTER_ADDR: 'pod-0' },
    /^expected ranks that MPI started, found RANK=1 WORLD_SIZE=4 alone;/,
  ],
  ['WORLD_SIZE in a batch script', { ...BATCH, WORLD_SIZE: '4' }, /found WORLD_SIZE=4 alone/],
];
for (const [name, environment, message] of REFUSED) {
  launch(`refused: ${name}`, () => {
    assert.throws(
      () => launchOf(environment),
      (error: Error) => error instanceof InputError && message.test(error.message),
    );
  });
}

launch('a process that was started alone loads nothing', async () => {
  const kept = { ...process.env };
  process.env = aloneEnvironment();
  try {
    const world = await joinWorld();
    assert.is(world.size, 1);
    assert.is(world.library, undefined);
    assert.is(world.port('student'), undefined);
    assert.equal(await world.channel.gather('own', 'alone'), ['own']);
    await world.leave();
  } finally {
    process.env = kept;
  }
});

launch('libraries are named in a few words, and told apart', () => {
  const NAMES: [string, string, string][] = [
    [
      'Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4, May 26, 2022',
      'Open MPI 4.1.4',
      'Open MPI',
    ],
    ['MPICH Version:\t4.0.2\nMPICH Release date:\tThu Apr  7 12:34:45 CDT 2022\n', 'MPICH 4.0.2', 'MPICH'],
    ['MPICH Version:      5.0.2\0', 'MPICH 5.0.2', 'MPICH'],
    ['Intel(R) MPI Library 2021.19 for Linux* OS\n', 'Intel(R) MPI Library 2021.19', 'MPICH'],
    ['MVAPICH2 Version      :\t2.3.7\nMVAPICH2 Release date :', 'MVAPICH2 2.3.7', 'MPICH'],
    ['IBM Spectrum MPI v10.4, package:', 'IBM Spectrum MPI 10.4', 'Open MPI'],
  ];
  for (const [text, short, family] of NAMES) {
    assert.is(shortVersion(text), short);
    assert.is(familyOf(short), family);
  }
});

launch.run();
