import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfigFile } from '#src/formats/configFile.js';
import { TRAIN_OPTIONS } from '#src/options/train.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';

const path = join(temporaryFolder('config'), 'run.yaml');
const read = (text: string) => {
  writeFileSync(path, text);
  return readConfigFile(path, TRAIN_OPTIONS);
};

const reading = suite('readConfigFile');

reading('names in camelCase and kebab-case, values with their types', () => {
  const text = `
# a run
student: models/tiny
data:
  - a.txt
  - "b.txt"
lr: 1e-4            # YAML 1.2: a number
lora-alpha: 32
evalFraction: 0.1
eos: true
separator: "\\n"
schedule: linear
steps: 1000
`;
  assert.equal(read(text), {
    student: 'models/tiny',
    data: ['a.txt', 'b.txt'],
    lr: 1e-4,
    loraAlpha: 32,
    evalFraction: 0.1,
    eos: true,
    separator: '\n',
    schedule: 'linear',
    steps: 1000,
  });
});

reading('JSON is YAML', () => {
  assert.equal(read('{"rank": 4,\n "data": ["x"], "eos": false}'), { rank: 4, data: ['x'], eos: false });
});

reading('one value where several may be given', () => assert.equal(read('data: a.txt'), { data: ['a.txt'] }));

reading('a list of tasks, or text with commas', () => {
  const given = { evalTasks: ['gsm8k', 'mmlu'] };
  assert.equal(read('eval-tasks: [gsm8k, mmlu]'), given);
  assert.equal(read('eval-tasks: gsm8k,mmlu'), { evalTasks: 'gsm8k,mmlu' });
});

reading('aliases', () => {
  assert.equal(read('student: &model m\nteacher: *model\n'), { student: 'm', teacher: 'm' });
});

reading.run();

const wrong = suite('what a file gets wrong');

const cases: Record<string, [text: string, message: RegExp]> = {
  'a number for a list': [
    'eval-tasks: 3',
    /:1: eval-tasks: expected a list, or text with commas in it, found 3$/,
  ],
  'an unknown name': ['rank: 8\n\nwarmpu: 3\n', /run\.yaml:3: unknown option warmpu; did you mean warmup\?$/],
  'an unknown kebab-case name': ['eval-evry: 3', /:1: unknown option eval-evry; did you mean evalEvery\?$/],
  'the file itself': ['config: other.yaml', /:1: config: expected it on the command line alone/],
  'text for a number': ['rank: 8\nlr: fast', /:2: lr: expected a number, found "fast"$/],
  'quotes around a number': ['rank: "8"', /:1: rank: expected a number, found "8"$/],
  'true for a number': ['rank: true', /:1: rank: expected a number, found true$/],
  'a list for a number': ['rank: [8]', /:1: rank: expected a number, found \[8\]$/],
  'a number for a text': ['student: 7', /:1: student: expected text \(in quotes .*\), found 7$/],
  'a number in a list of texts': ['data: [a, 7]', /:1: data: expected text .*, found 7$/],
  'an empty list': ['data: []', /:1: data: expected at least one path, found \[\]$/],
  'text for a switch': ['eos: yes', /:1: eos: expected true or false, found "yes"$/],
  'a number for names with values': [
    'rankPattern: 8',
    /:1: rankPattern: expected names with values, .*, found 8$/,
  ],
  'no value': ['rank:', /:1: rank: expected a number, found nothing$/],
  'a value out of range': ['evalFraction: 1.5', /:1: evalFraction: expected below 1, found 1\.5$/],
  'half a row': ['batch: 1.5', /:1: batch: expected a whole number, found 1\.5$/],
  'not a number': ['lr: .nan', /:1: lr: .*number.*, found NaN$/],
  'a choice that is none': [
    'schedule: step',
    /:1: schedule: expected cosine \| linear \| constant.*, found "step"$/,
  ],
  'an option twice': ['lora-alpha: 1\nloraAlpha: 2', /:2: loraAlpha: expected it once, found it again$/],
  'the same key twice': ['rank: 1\nrank: 2', /:2: expected YAML or JSON, found: Map keys must be unique$/],
  'no YAML': ['rank: 8\ndata: [a', /:2: expected YAML or JSON, found: /],
  'an alias of nothing': ['rank: *x', /run\.yaml: expected YAML or JSON, found: Unresolved alias/],
  'a list of options': ['- rank\n- 8\n', /expected lines of the form `name: value`, found none/],
  'an empty file': ['', /expected lines of the form `name: value`, found none/],
  'several problems': ['rnak: 1\nlr: x\n', /:1: unknown option rnak; .*; \S+:2: lr: expected a number/],
};

for (const [what, [text, message]] of Object.entries(cases)) {
  wrong(what, async () => assert.match(await inputErrorOf(() => read(text)), message));
}

wrong('a file that is not there', async () => {
  const message = await inputErrorOf(() => readConfigFile('nowhere.yaml', TRAIN_OPTIONS));
  assert.is(
    message,
    'nowhere.yaml: expected a YAML or JSON file, could not read one (ENOENT); check --config',
  );
});

wrong.run();
