/** What a driver's compiler says about one shader. */
export interface ShaderStats {
  /** What was being made: the last mark before it. */
  readonly name: string;
  /** Vector registers of a thread, 32 bits each. */
  readonly vgprs: number;
  readonly spilledVgprs: number;
  readonly spilledSgprs: number;
  /** Bytes of memory beside the registers. */
  readonly scratch: number;
  /** Bytes of workgroup memory. */
  readonly lds: number;
  /** Subgroups that a SIMD unit holds at the same time. */
  readonly occupancy: number;
  /** The compiler's estimate of cycles between two subgroups: only alike shaders can be compared. */
  readonly inverseThroughput: number;
}

/** How a program says on stderr what it is about to make. */
export const mark = (name: string): string => `making ${name}\n`;

const PART = /^making (.*)$|^\*\*\* SHADER STATS \*\*\*$/m;
const NUMBER = /^([A-Z][A-Za-z0-9 .-]*): (\d+)$/gm;

/** The blocks that RADV_DEBUG=shaderstats writes to stderr. @throws Error where a number is missing: another Mesa */
export function shaderStats(stderr: string): ShaderStats[] {
  const found: ShaderStats[] = [];
  let name = 'nothing';
  const parts = stderr.split(PART);
  // The text before the first part, then for each: the name of a mark or undefined, and the text after it.
  for (let i = 1; i < parts.length; i += 2) {
    const marked = parts[i];
    if (marked !== undefined) name = marked;
    else found.push(statsOf(name, parts[i + 1]!));
  }
  return found;
}

function statsOf(name: string, text: string): ShaderStats {
  const numbers = new Map([...text.matchAll(NUMBER)].map(([, key, value]) => [key!, Number(value)]));
  const number = (key: string): number => {
    const value = numbers.get(key);
    if (value === undefined) {
      throw new Error(
        `Expected "${key}" among the driver's numbers, found ${[...numbers.keys()].join(', ')}`,
      );
    }
    return value;
  };
  return {
    name,
    vgprs: number('VGPRs'),
    spilledVgprs: number('Spilled VGPRs'),
    spilledSgprs: number('Spilled SGPRs'),
    scratch: number('Scratch size'),
    lds: number('LDS size'),
    occupancy: number('Subgroups per SIMD'),
    inverseThroughput: number('Inverse Throughput'),
  };
}
