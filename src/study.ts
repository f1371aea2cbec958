import { type CommandTexts, commandOf } from './cli/command.js';
import { runProgram } from './cli/program.js';
import { exitAfter, stopOnSignals } from './cli/signals.js';
import { cellText, estimateText, studyText } from './cli/studyTexts.js';
import { study } from './index.js';
import { STUDY_OPTIONS, type StudyInput } from './options/study.js';
import { showStudy } from './report/studying.js';

const TEXTS: CommandTexts = {
  name: 'study',
  description:
    'Runs a grid of trainings to one question: axes over any options, learning rates until the optimum lies inside. ' +
    'Given again, it goes on where it was.',
  usage: ['--config STUDY.yaml --out DIR [options]'],
  examples: ['--config study.yaml --out study', '--config study.yaml --out study --dry-run'],
};

await runProgram(async () => {
  const running = study(commandOf(TEXTS, STUDY_OPTIONS).parse().opts<StudyInput>());
  const came = stopOnSignals(running);
  const line = showStudy();
  const print = (text: string) => {
    line.clear();
    process.stderr.write(`${text}\n`);
  };
  running.progress$.subscribe(line.update);
  running.notes$.subscribe(print);
  running.cells$.subscribe({ next: (cell) => print(cellText(cell)), error: () => {} });
  const result = await running.finished.finally(line.clear);
  const text = result.estimate ? estimateText(result.estimate) : studyText(result);
  process.stdout.write(`${text}\n`);
  if (result.estimate) return;
  if (came.signal && !result.finished) exitAfter(came.signal);
  else if (result.failed > 0) process.exitCode = 1;
});
