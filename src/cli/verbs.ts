import { InputError } from '../base/errors.js';
import { nearestName } from '../base/nearestName.js';
import { version } from '../base/version.js';

/** What `rivulet VERB` can do, each a program of its own. */
const VERBS = {
  train: 'train a LoRA adapter with distillation, or a model',
  evaluate: 'score a text with a model, or a model on tasks',
  generate: 'write what follows a prompt, or talk',
  cache: "keep a teacher's hidden states of a text for train",
  study: 'run a grid of trainings to one question',
  merge: 'make a model of a model and its adapters',
  tokenize: 'say what text comes to in tokens, and write token shards',
} as const;

const HELP = [
  'Usage: rivulet VERB [options]',
  '',
  'Trains foundation adapters: LoRA with distillation, on any GPU and any CPU.',
  '',
  'Verbs:',
  ...Object.entries(VERBS).map(([verb, what]) => `  ${verb.padEnd(9)} ${what}`),
  '',
  'rivulet VERB --help tells the options of each. `rivulet train` alone trains on a bundled miniature.',
  '',
].join('\n');

/**
 * Runs the verb that the command line names, with the arguments after it.
 * @param start loads the program of a verb, which then runs
 * @throws InputError for a verb that there is none of
 */
export async function runVerb(start: (verb: string) => Promise<unknown>): Promise<void> {
  const [verb = '--help'] = process.argv.slice(2);
  if (['--help', '-h', 'help'].includes(verb)) {
    process.stdout.write(HELP);
  } else if (['--version', '-V'].includes(verb)) {
    process.stdout.write(`${version}\n`);
  } else if (Object.hasOwn(VERBS, verb)) {
    process.argv.splice(2, 1);
    await start(verb);
  } else {
    const names = Object.keys(VERBS);
    const nearest = nearestName(verb, names);
    const advice = nearest === undefined ? 'see --help' : `did you mean ${nearest}?`;
    throw new InputError(`expected ${names.join(', ')}, found ${verb}; ${advice}`);
  }
}
