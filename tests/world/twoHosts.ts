import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Launcher, launchers } from './mpirun.js';

/**
 * Two network namespaces of this machine as two hosts: each has its own name, its own loopback and one end of a cable, a
 * veth pair. Open MPI's launcher takes them for hosts, and ranks of different ones have TCP alone between them.
 */

/** Of a cable's end, as `tc` writes it. */
export type Rate = '1gbit' | undefined;

interface Host {
  readonly name: string;
  readonly address: string;
}

const [FIRST, SECOND]: readonly [Host, Host] = [
  { name: 'rivulet-a', address: '10.77.0.1' },
  { name: 'rivulet-b', address: '10.77.0.2' },
];
const NETWORK = '10.77.0.0/24';
/** The network device of each host. */
export const CABLE = 'cable';

const openMpi = launchers.find(({ family }) => family === 'Open MPI');

/** What keeps this machine from having two hosts; undefined where nothing does. */
export function whyNoHosts(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs Linux and root';
  if (!openMpi) return 'needs mpirun of Open MPI';
  const missing = ['ip', 'tc', 'unshare'].find((command) => spawnSync(command, ['-V']).error);
  if (missing) return `needs the command ${missing}`;
  const { status, stderr } = spawnSync('unshare', ['--net', '--uts', 'true'], { encoding: 'utf8' });
  return status === 0 ? undefined : `needs namespaces: ${stderr.trim()}`;
}

function command(line: string): string {
  const [name, ...args] = line.split(' ');
  const { status, stdout, stderr } = spawnSync(name!, args, { encoding: 'utf8' });
  if (status === 0) return stdout;
  throw new Error(`Expected "${line}" to end with code 0, found ${status}: ${stderr.trim()}`);
}

/** With these, Open MPI's launcher looks every 10 s whether its other hosts are there, and gives up after 6 s more. */
export const KEEPALIVE = Object.entries({ time: 10, intvl: 2, probes: 3 }).flatMap(([name, value]) => [
  '--mca',
  `oob_tcp_keepalive_${name}`,
  String(value),
]);

/** At most one pair is there at a time: they have fixed names and addresses. */
export class TwoHosts {
  /** Starts ranks on both in turn: rank 0 on the first one, rank 1 on the second one ... */
  readonly launcher: Launcher;
  readonly #folder = mkdtempSync(join(tmpdir(), 'rivulet-hosts-'));

  /** @param rate of the cable, each way; without one it is as fast as memory */
  constructor(rate: Rate) {
    this.#remove();
    for (const { name } of [FIRST, SECOND]) {
      command(`ip netns add ${name}`);
      command(`ip -n ${name} link set lo up`);
    }
    command(`ip link add ${CABLE} netns ${FIRST.name} type veth peer name ${CABLE} netns ${SECOND.name}`);
    for (const { name, address } of [FIRST, SECOND]) {
      command(`ip -n ${name} address add ${address}/24 dev ${CABLE}`);
      command(`ip -n ${name} link set ${CABLE} up`);
      if (rate) command(`tc -n ${name} qdisc add dev ${CABLE} root tbf rate ${rate} burst 1mb latency 50ms`);
    }
    this.launcher = this.#launcher(openMpi!);
  }

  /** Pulls the cable out, or plugs it in again. */
  cable(state: 'up' | 'down'): void {
    command(`ip -n ${FIRST.name} link set ${CABLE} ${state}`);
  }

  /** Ends whatever runs on either host, the launcher too. */
  endAll(): void {
    for (const { name } of [FIRST, SECOND]) {
      const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
      for (const pid of stdout.split('\n').filter(Boolean)) spawnSync('kill', ['-9', pid]);
    }
  }

  close(): void {
    this.#remove();
    rmSync(this.#folder, { recursive: true });
  }

  /** Both ends of the cable go with either host. */
  #remove(): void {
    this.endAll();
    for (const { name } of [FIRST, SECOND]) spawnSync('ip', ['netns', 'delete', name]);
  }

  /** As `ssh HOST COMMAND` where there is a network between hosts: a script for `plm_rsh_agent`. */
  #launcher({ family, command, args }: Launcher): Launcher {
    const agent = join(this.#folder, 'agent');
    const inHost = (name: string) => ['netns', 'exec', name, 'unshare', '--uts', 'sh', '-c'];
    const cases = [FIRST, SECOND].map(
      ({ name, address }) => `${address}) exec ip ${inHost(name).join(' ')} "hostname ${name}; $*" ;;`,
    );
    writeFileSync(agent, ['#!/bin/sh', 'host=$1', 'shift', 'case $host in', ...cases, 'esac', ''].join('\n'));
    chmodSync(agent, 0o755);
    const settings = {
      plm_rsh_agent: agent,
      btl: 'self,vader,tcp',
      btl_tcp_if_include: NETWORK,
      oob_tcp_if_include: NETWORK,
    };
    const mpirun = [
      ...args,
      ...['--host', [FIRST, SECOND].map(({ address }) => `${address}:8`).join(','), '--map-by', 'node'],
      ...Object.entries(settings).flatMap(([name, value]) => ['--mca', name, value]),
    ];
    const start = `hostname ${FIRST.name}; exec "$0" "$@"`;
    return { family, command: 'ip', args: [...inHost(FIRST.name), start, command, ...mpirun] };
  }
}
