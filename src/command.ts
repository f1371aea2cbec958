import { Command, Option } from 'commander';
import { flagOf } from './options.js';

type Table = Readonly<
  Record<string, { value?: string; help: string; group: string; default?: unknown; many?: true }>
>;

const GROUPS: Readonly<Record<string, string>> = {
  model: 'Models',
  data: 'Data',
  objective: 'Objective',
  adapter: 'Adapter',
  optimizer: 'Optimizer',
  run: 'Run',
};

/** A command whose flags are a table of options. Values stay text: the table's checks come later, in one place. */
export function commandOf(name: string, description: string, table: Table): Command {
  const command = new Command(name).description(description).helpOption('-h, --help', 'show this help');
  for (const [key, { value, help, group, many, default: fallback }] of Object.entries(table)) {
    const shown = fallback === undefined || fallback === false ? help : `${help} (default: ${fallback})`;
    const flags = value === undefined ? flagOf(key) : `${flagOf(key)} <${value}${many ? '...' : ''}>`;
    command.addOption(new Option(flags, shown).helpGroup(`${GROUPS[group]}:`));
  }
  return command.showSuggestionAfterError(true).exitOverride();
}
