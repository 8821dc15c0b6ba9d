import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import type { Command } from './child.js';
import { Supervisor } from './supervisor.js';

const STAND_IN = fileURLToPath(new URL('./testing/stand-in.mjs', import.meta.url));

const standIn = (name: string, behaviour: string): Command => ({
  name,
  script: STAND_IN,
  args: [behaviour],
  env: {},
  ready: { event: 'worker.ready' },
});

const started: Supervisor[] = [];
afterEach(async () => {
  for (const supervisor of started.splice(0)) supervisor.kill();
});

/** A supervisor of stand-ins and what it showed; `seen` resolves at the first line that matches. */
function supervise(commands: readonly Command[]) {
  const lines: string[] = [];
  const changed = new EventTarget();
  const show = (name: string, line: string) => {
    lines.push(`[${name}] ${line}`);
    changed.dispatchEvent(new Event('line'));
  };
  const supervisor = new Supervisor(commands, { show, restartDelay: () => 1 });
  started.push(supervisor);
  const seen = async (pattern: RegExp, from = 0) => {
    for (;;) {
      const found = lines.slice(from).find((line) => pattern.test(line));
      if (found !== undefined) return found;
      await once(changed, 'line');
    }
  };
  const pidsOf = (name: string) =>
    lines.flatMap((line) => {
      const [, pid] = new RegExp(`^\\[${name}\\] .*"pid":(\\d+)`).exec(line) ?? [];
      return pid === undefined ? [] : [Number(pid)];
    });
  return { supervisor, lines, seen, pidsOf };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('start', () => {
  test('resolves once every process is ready, and stop leaves none', async () => {
    const { supervisor, pidsOf } = supervise([standIn('a', 'ready'), standIn('b', 'grumbling')]);
    await supervisor.start();
    const pids = [...pidsOf('a'), ...pidsOf('b')];
    expect(pids.map(isAlive)).toEqual([true, true]);
    await supervisor.stop();
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  test.each([
    ['failing', 'worker could not start: no model could be read'],
    ['throwing', 'worker could not start: TypeError: models is not iterable'],
    ['refusing', 'worker could not start: PORT: must be a whole number; TOKEN: must be set'],
  ])('tells in one line why a %s process could not start, and only there', async (behaviour, message) => {
    const { supervisor, lines, pidsOf, seen } = supervise([standIn('slow', 'slow'), standIn('worker', behaviour)]);
    const outcome = supervisor.start();
    await expect(outcome).rejects.toThrow(new Error(message));
    await seen(/"pid"/);
    await supervisor.stop();
    expect(pidsOf('slow').map(isAlive)).toEqual([false]);
    expect(lines.filter((line) => /fatal|Error|must/.test(line))).toEqual([]);
  });

  test('shows what a process complained of once it is ready', async () => {
    const { supervisor, lines } = supervise([standIn('worker', 'grumbling')]);
    await supervisor.start();
    expect(lines.filter((line) => line.includes('cache.lost'))).toHaveLength(1);
    await supervisor.stop();
  });
});

test('a process that ends later is started again, with a line that says so', async () => {
  const { supervisor, lines, pidsOf, seen } = supervise([standIn('worker', 'ready')]);
  await supervisor.start();
  const [first = 0] = pidsOf('worker');
  const from = lines.length;
  process.kill(first, 'SIGKILL');
  expect(await seen(/ended/)).toBe('[worker] ended (SIGKILL); next start in 0.001 s');
  await seen(/worker\.ready/, from);
  expect(pidsOf('worker')).toHaveLength(2);
  await supervisor.stop();
  expect(pidsOf('worker').map(isAlive)).toEqual([false, false]);
});

test('kill ends a process that does not heed SIGTERM', async () => {
  const { supervisor, pidsOf, seen } = supervise([standIn('worker', 'stubborn')]);
  await supervisor.start();
  const stopped = supervisor.stop();
  await seen(/draining/);
  supervisor.kill();
  await stopped;
  expect(pidsOf('worker').map(isAlive)).toEqual([false]);
});
