import { fileURLToPath } from 'node:url';
import { aloneEnvironment, type Launcher, launchers, runRanks } from '#tests/world/mpirun.js';
import { CABLE, TwoHosts, whyNoHosts } from '#tests/world/twoHosts.js';
import type { Exchanged, ExchangeResult } from './exchangeRank.js';
import type { ShapeName } from './shapes.js';

/**
 * A batch's exchange of gradients between ranks that mpirun starts: on this host by what MPI takes, which is shared memory,
 * and by TCP over loopback; and, where this machine can have them, on two hosts, whose cable passes 1 Gbit/s or whatever it
 * can.
 */

const PROGRAM = fileURLToPath(new URL('./exchangeRank.js', import.meta.url));
const LIMIT_MS = 280_000;
const RANKS = [2, 4];
const MICRO_BATCHES = 8;

/** Between which ranks data go, and how. */
type Way = 'one host, by MPI' | 'one host, TCP' | 'two hosts' | 'two hosts, 1 Gbit/s';

export type WayResult = ExchangeResult & { readonly way: Way };

/** TCP over loopback, for each family of libraries. */
const OVER_LOOPBACK: Readonly<Record<Launcher['family'], Readonly<Record<string, string>>>> = {
  'Open MPI': { OMPI_MCA_btl: 'self,tcp', OMPI_MCA_btl_tcp_if_include: 'lo' },
  MPICH: { MPIR_CVAR_NOLOCAL: '1', FI_PROVIDER: 'tcp', FI_TCP_IFACE: 'lo' },
};

/**
 * @param adapter whose gradients they are, by its model and rank
 * @param onResult hears of each way and number of ranks
 * @param onSkip hears of what can't be measured here
 */
export async function measureExchange(
  adapter: { readonly model: ShapeName; readonly adapter_rank: number },
  onResult: (result: WayResult) => void,
  onSkip: (reason: string) => void,
): Promise<void> {
  const [launcher] = launchers;
  if (!launcher) return onSkip('exchange: skipped, it needs mpirun of Open MPI or MPICH');
  const over = async (way: Way, on: Launcher, counter?: string, env = {}) => {
    for (const ranks of RANKS) {
      const asked = { ...adapter, microBatches: MICRO_BATCHES, ...(counter !== undefined && { counter }) };
      onResult({ ...(await exchangeOf(on, ranks, asked, env)), way });
    }
  };
  await over('one host, by MPI', launcher);
  await over('one host, TCP', launcher, 'lo', OVER_LOOPBACK[launcher.family]);
  const reason = whyNoHosts();
  if (reason !== undefined) return onSkip(`exchange: two hosts skipped, ${reason}`);
  for (const rate of [undefined, '1gbit'] as const) {
    const hosts = new TwoHosts(rate);
    try {
      await over(rate ? 'two hosts, 1 Gbit/s' : 'two hosts', hosts.launcher, CABLE);
    } finally {
      hosts.close();
    }
  }
}

async function exchangeOf(
  launcher: Launcher,
  ranks: number,
  asked: Exchanged,
  more: Readonly<Record<string, string>>,
): Promise<ExchangeResult> {
  const options = { env: { ...aloneEnvironment(), ...more }, limitMs: LIMIT_MS };
  const { code, stdout, stderr } = await runRanks(launcher, ranks, [PROGRAM, JSON.stringify(asked)], options);
  if (code !== 0) throw new Error(`Expected ${ranks} ranks to end with code 0, found ${code}: ${stderr}`);
  return JSON.parse(stdout) as ExchangeResult;
}

export function exchangeLine(result: WayResult): string {
  const { way, model, adapter_rank: rank, ranks, sent_bytes, crossing_bytes, wire_bytes } = result;
  const ms = (seconds: number) => `${(1000 * seconds).toFixed(1)} ms`;
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const wire =
    wire_bytes === undefined
      ? ''
      : `, on the wire ${mb(wire_bytes)} of ${mb(crossing_bytes)} (${(wire_bytes / crossing_bytes).toFixed(3)})`;
  return (
    `${way}, ${ranks} ranks, ${model} rank ${rank}: ${ms(result.seconds_p50)}, ` +
    `host ${ms(result.host_seconds)}, MPI ${ms(result.mpi_seconds)}, sent ${mb(sent_bytes)}${wire}`
  );
}
