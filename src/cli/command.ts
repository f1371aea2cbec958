import { Command, type CommanderError, Option } from 'commander';
import { InputError } from '../base/errors.js';
import { callingInHelp } from '../base/invocation.js';
import { unknownOption } from '../base/nearestName.js';
import { version } from '../base/version.js';
import { flagOf } from '../options/table.js';

type Table = Readonly<
  Record<string, { value?: string; help: string; group: string; default?: unknown; many?: true }>
>;

/** What help says beside the options. */
export interface CommandTexts {
  /** Of the file in dist/. */
  readonly name: string;
  readonly description: string;
  /** Arguments, as many ways as there are to call it. */
  readonly usage: readonly string[];
  readonly examples: readonly string[];
}

const GROUPS: Readonly<Record<string, string>> = {
  model: 'Models',
  data: 'Data',
  objective: 'Objective',
  adapter: 'Adapter',
  optimizer: 'Optimizer',
  run: 'Run',
};

/** Of a line of help: as wide as the terminal, but no wider than is easy to read. */
const MOST_COLUMNS = 100;
const COLUMNS_OF_A_FILE = 80;

/**
 * A command whose flags are a table of options. Values stay text: the table's checks come later, in one place.
 * Parsing throws an InputError for wrong usage, and a CommanderError with exit code 0 once help or version is printed.
 */
export function commandOf({ name, description, usage, examples }: CommandTexts, table: Table): Command {
  const call = callingInHelp(name);
  const command = new Command(call)
    .description(description)
    .usage(usage.join(`\n       ${call} `))
    .addHelpText('after', afterHelp(call, examples))
    .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? COLUMNS_OF_A_FILE, MOST_COLUMNS) })
    .configureOutput({ outputError: () => {} })
    .exitOverride((error) => {
      throw error.exitCode === 0 ? error : usageError(error, command, table);
    });
  for (const [key, { value, help, group, many, default: fallback }] of Object.entries(table)) {
    const shown = fallback === undefined || fallback === false ? help : `${help} (default: ${fallback})`;
    const flags = value === undefined ? flagOf(key) : `${flagOf(key)} <${value}${many ? '...' : ''}>`;
    command.addOption(new Option(flags, shown).helpGroup(`${GROUPS[group]}:`));
  }
  return command
    .optionsGroup('Other:')
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help');
}

const afterHelp = (call: string, examples: readonly string[]): string =>
  [
    '',
    'Examples:',
    ...examples.map((example) => `  ${call} ${example}`.trimEnd()),
    '',
    'Exit codes: 0 done, 1 failed, 2 bad usage or input. README.md has more.',
  ].join('\n');

/** Commander's errors in the words of this project's own. */
function usageError({ code, message }: CommanderError, command: Command, table: Table): InputError {
  // `error: option '--rank <N>' argument missing`, `error: unknown option '--rnak=3'`
  const [, flag = '', value = ''] = /'(-[^ =']*)(?: <(.*)>)?/.exec(message) ?? [];
  if (code === 'commander.unknownOption') {
    const known = ['--help', '--version', ...Object.keys(table).map(flagOf)];
    // `--json=true`: a switch is unknown with a value.
    return new InputError(
      known.includes(flag)
        ? `${flag}: expected it without a value, found one; give ${flag} alone, or leave it out`
        : unknownOption(flag, known),
    );
  }
  if (code === 'commander.optionMissingArgument') {
    return new InputError(`${flag}: expected ${value}, found nothing; see --help`);
  }
  if (code === 'commander.excessArguments') {
    return new InputError(`expected options alone, found ${command.args.join(' ')}; see --help`);
  }
  return new InputError(message.replace(/^error: /, ''));
}
