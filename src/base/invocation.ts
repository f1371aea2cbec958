import { basename, relative } from 'node:path';

/** How this process was started, so that hints are commands that can be typed as they are. */

/** Arguments that no shell changes. */
const PLAIN = /^[\w./@:=,+%-]+$/;

/** An argument as a shell takes it. */
export const quoted = (argument: string): string =>
  PLAIN.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;

/** The start of a command that runs a verb, as the user would type it: `node dist/train.js`, `rivulet train`. */
export function calling(verb: string, script = process.argv[1] ?? '', env = process.env): string {
  const name = basename(script).replace(/\.js$/, '');
  if (name === 'rivulet' && !script.endsWith('.js')) {
    return `${env.npm_command === 'exec' ? 'npx ' : ''}rivulet ${verb}`;
  }
  if (name === 'rivulet') return `node ${quoted(shown(script))} ${verb}`;
  const isProgram = /[\\/]dist[\\/][^\\/]+\.js$/.test(script);
  if (!isProgram) return `npx rivulet ${verb}`;
  return `node ${quoted(shown(script.replace(/[^\\/]+$/, `${verb}.js`)))}`;
}

/** As short as it can be from here. */
function shown(script: string): string {
  const near = relative('', script);
  return near.startsWith('..') ? script : near;
}

/** The same as help shows it: the place of the installation does not matter there. */
export const callingInHelp = (verb: string): string =>
  calling(verb).startsWith('node ') ? `node dist/${verb}.js` : calling(verb);
