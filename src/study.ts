import { type CommandTexts, commandOf } from './cli/command.js';
import { runRanks, sameOptions } from './cli/ranks.js';
import { exitAfter, stopOnSignals } from './cli/signals.js';
import { cellText, estimateText, studyText } from './cli/studyTexts.js';
import { type Study, study } from './index.js';
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

await runRanks(async (world) => {
  const options = await sameOptions<StudyInput>(world, commandOf(TEXTS, STUDY_OPTIONS));
  const running = study(options, world);
  const came = stopOnSignals(running);
  if (world.rank === 0) showCells(running);
  const result = await running.finished;
  if (world.rank === 0) {
    process.stdout.write(
      `${result.estimate ? estimateText(result.estimate, world.size) : studyText(result)}\n`,
    );
  }
  const { signal } = came;
  if (signal && !result.finished) return () => exitAfter(signal);
  if (result.failed > 0) process.exitCode = 1;
  return undefined;
});

function showCells({ progress$, notes$, cells$ }: Study): void {
  const line = showStudy();
  const print = (text: string) => {
    line.clear();
    process.stderr.write(`${text}\n`);
  };
  progress$.subscribe({ next: line.update, complete: line.clear });
  notes$.subscribe(print);
  cells$.subscribe({ next: (cell) => print(cellText(cell)), error: () => {} });
}
