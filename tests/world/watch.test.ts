import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Watch, type Word } from '#src/world/watch.js';

/** Who is waited for, as each rank sees it, on a clock of the test's own. */

const watch = suite('watch');

const hosts = ['a', 'a', 'b', 'b'];
const PATIENCE = { sayAfterMs: 10_000, endAfterMs: 60_000 };
const DOING = 'step 12: gradients';

/** A watch of `rank`, and seconds that pass in which the ranks of `alive` are heard of. */
function watchOf(rank: number, names = hosts) {
  let now = 5000;
  const watched = new Watch({ rank, hosts: names }, 3, PATIENCE, now);
  const pass = (seconds: number, alive: readonly number[] = [...names.keys()]): Word[] => {
    const words: Word[] = [];
    for (let n = 0; n < seconds; n++) {
      now += 1000;
      for (const other of alive) watched.heard(other);
      words.push(...watched.look(now));
    }
    return words;
  };
  const jump = (ms: number) => {
    now += ms;
    return watched.look(now);
  };
  return { watched, pass, jump };
}

watch('a rank that is late is named once, and when it has come', () => {
  const { watched, pass } = watchOf(0);
  for (const rank of [0, 1, 3]) watched.came(rank, 1, 1, DOING);
  assert.equal(pass(9), []);
  assert.equal(pass(20), [{ waiting: `waiting for rank 2 (host b): ${DOING}` }]);
  watched.came(2, 1, 1, DOING);
  // Another one may be further by then.
  watched.came(3, 1, 2, 'step 13: gradients');
  assert.is(watched.done(1), `going on after 29 s: ${DOING}`);
  assert.equal(pass(9), []);
});

watch('rank 0 names itself and several others', () => {
  const { watched, pass } = watchOf(0);
  watched.came(3, 0, 1, DOING);
  assert.equal(pass(11), [{ waiting: `waiting for ranks 0 (host a), 1 (host a), 2 (host b): ${DOING}` }]);
  const many = watchOf(0, Array(20).fill('a'));
  many.watched.came(0, 0, 1, DOING);
  const [word] = many.pass(11);
  assert.match(
    JSON.stringify(word),
    /^\{"waiting":"waiting for ranks 1 \(host a\), .*8 \(host a\) and 11 more: step/,
  );
});

watch('a rank that is not heard of ends all after the limit, though nobody waits for it by name', () => {
  for (const [rank, lost] of [
    [0, 2],
    [1, 0],
  ] as const) {
    const { pass } = watchOf(rank);
    const alive = [0, 1, 2, 3].filter((other) => other !== lost);
    assert.equal(pass(59, alive), []);
    const [word] = pass(1, alive);
    assert.match(JSON.stringify(word), new RegExp(`ending.*within 60 s, found no rank ${lost} \\(host`));
  }
  const { pass } = watchOf(3);
  assert.equal(pass(100, [3]), []);
});

watch('meetings without a delay say nothing', () => {
  const { watched, pass } = watchOf(0);
  for (let meeting = 1; meeting < 100; meeting++) {
    for (const rank of hosts.keys()) watched.came(rank, 0, meeting, DOING);
    assert.equal(pass(5), []);
    assert.is(watched.done(0), undefined);
  }
  assert.equal(pass(1000), []);
});

watch('a rank that came and stopped is named, and none where data are slow', () => {
  const stopped = watchOf(0);
  for (const rank of hosts.keys()) stopped.watched.came(rank, 0, 1, DOING);
  assert.equal(stopped.pass(11, [0, 1, 3]), [
    { waiting: `waiting for rank 2 (host b), silent for 10 s: ${DOING}` },
  ]);
  const slow = watchOf(0);
  for (const rank of hosts.keys()) slow.watched.came(rank, 0, 1, DOING);
  assert.equal(slow.pass(11), [{ waiting: `waiting for data of ranks that have all come: ${DOING}` }]);
});

watch('rank 1 speaks where rank 0 is silent, and then alone', () => {
  const { watched, pass } = watchOf(1);
  watched.came(1, 0, 1, DOING);
  assert.equal(pass(30), []);
  assert.equal(pass(30, []), [
    { waiting: `waiting for rank 0 (host a), silent for 5 s: ${DOING}` },
    {
      ending: `${DOING}: expected all ranks within 60 s, found no rank 0 (host a), silent for 31 s; a training run goes on with --resume`,
    },
  ]);
});

watch('the world ends after the limit, once per rank that can tell', () => {
  const ending = (words: Word[]) => words.findIndex((word) => 'ending' in word);
  const first = watchOf(0);
  first.watched.came(1, 2, 1, DOING);
  assert.is(ending(first.pass(59)), -1);
  assert.equal(first.pass(1), [
    {
      ending: `${DOING}: expected all ranks within 60 s, found no ranks 0 (host a), 2 (host b), 3 (host b); a training run goes on with --resume`,
    },
  ]);
  const third = watchOf(2);
  third.watched.came(2, 2, 1, DOING);
  assert.equal(third.pass(67), []);
  assert.equal(third.pass(1), [
    {
      ending: `${DOING}: expected all ranks within 60 s, found no rank 0 or 1; a training run goes on with --resume`,
    },
  ]);
});

watch('time in which a process itself was stopped does not count', () => {
  const { watched, pass, jump } = watchOf(0);
  watched.came(0, 0, 1, DOING);
  assert.equal(jump(3_600_000), []);
  assert.equal(pass(8), []);
  assert.is(pass(1).length, 1);
});

watch('channels are watched apart', () => {
  const { watched, pass } = watchOf(0);
  watched.came(0, 0, 1, 'one');
  assert.equal(pass(5), []);
  for (const rank of hosts.keys()) watched.came(rank, 1, 1, 'two');
  watched.done(1);
  watched.came(0, 2, 1, 'three');
  assert.equal(pass(10), [
    { waiting: 'waiting for ranks 1 (host a), 2 (host b), 3 (host b): one' },
    { waiting: 'waiting for ranks 1 (host a), 2 (host b), 3 (host b): three' },
  ]);
});

watch.run();
