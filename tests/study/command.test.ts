import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { TRAIN_OPTIONS } from '#src/options/train.js';
import { resolveOptions } from '#src/prepare/resolveOptions.js';
import { commandOf, toldOptions } from '#src/study/command.js';

/** What makes a cell alone, as a command. */

const test = suite('commands of cells');

test('several values of an option are as many arguments where it takes them so, otherwise one', () => {
  const command = commandOf({
    data: ['a.jsonl:0.7', 'my text.jsonl'],
    evalTasks: ['arc_challenge', 'gsm8k'],
    rankPattern: { q_proj: 4, v_proj: 8 },
    eos: true,
    rslora: false,
  });
  assert.match(
    command,
    /--data a\.jsonl:0\.7 'my text\.jsonl' --eval-tasks arc_challenge,gsm8k --rank-pattern q_proj=4,v_proj=8 --eos$/,
  );
});

test('what is told of options is what they are read from', () => {
  const { options } = resolveOptions({
    student: 'model',
    data: ['a.jsonl'],
    evalTasks: 'gsm8k,arc_challenge',
    qmsum: { tokens: 'all' },
    rankPattern: { q_proj: 4 },
  });
  const argument = (name: string) => / (\S+)$/.exec(commandOf({ [name]: toldOptions(options)[name] }))![1];
  for (const name of ['evalTasks', 'qmsum', 'rankPattern'] as const) {
    assert.equal(TRAIN_OPTIONS[name].schema.parse(argument(name)), options[name], name);
  }
});

test.run();
