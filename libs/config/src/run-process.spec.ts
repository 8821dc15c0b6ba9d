import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';

const index = new URL('../dist/index.js', import.meta.url).href;
const contracts = import.meta.resolve('@shoal/contracts');

/** A process that runs `runProcess` with these parts, given as source, and logs to stdout. */
function spawnProcess(load: string, start: string) {
  const script = `
    const { runProcess, ConfigError } = await import(${JSON.stringify(index)});
    const { ShoalError } = await import(${JSON.stringify(contracts)});
    const say = (level, event, error) => console.log(level, event, error?.message ?? '');
    const openLog = () => ({
      info: (event) => say('info', event),
      warn: (event, { variable, reason }) => console.log('warn', event, variable, reason),
      error: (event, _, error) => say('error', event, error),
      fatal: (event, _, error) => say('fatal', event, error),
    });
    await runProcess({ name: 'app', load: ${load}, openLog, start: ${start}, graceMs: () => 5000 });
    console.log('up');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

test.each([
  ['the environment', `() => { throw new ConfigError([{ variable: 'A', message: 'is wrong' }]) }`, '', 'A: is wrong\n'],
  ['a fault with words of its own', `() => { throw new ShoalError('model_not_found', 'no model') }`, '', 'no model\n'],
  ['anything else', `() => { throw new TypeError('oops') }`, 'fatal app.start_failed oops\n', ''],
])('a start that fails of %s ends with 1', async (_, load, stdout, stderr) => {
  const child = spawnProcess(load, 'async () => async () => {}');
  const [[code], out, errors] = await Promise.all([once(child, 'close'), text(child.stdout!), text(child.stderr!)]);
  expect([code, out, errors]).toEqual([1, stdout, stderr]);
});

test.each([
  ['async () => {}', 0, 'info app.stopped \n'],
  [`async () => { throw new Error('stuck') }`, 1, 'error app.stop_failed stuck\n'],
])('a signal stops the process: %s', async (stop, expected, last) => {
  const child = spawnProcess('() => ({ unknown: [] })', `async () => { setInterval(() => {}, 1000); return ${stop}; }`);
  const out = text(child.stdout!);
  await once(child.stdout!, 'data');
  child.kill('SIGTERM');
  const [code] = await once(child, 'close');
  expect(code).toBe(expected);
  expect(await out).toBe(`up\ninfo app.draining \n${last}`);
});

test('variables that mean nothing are warned of before the start', async () => {
  const load = `() => ({ unknown: [{ variable: 'A', message: 'is no variable' }] })`;
  const child = spawnProcess(load, `async () => { throw new TypeError('oops'); }`);
  expect(await text(child.stdout!)).toBe('warn config.unknown A is no variable\nfatal app.start_failed oops\n');
});

test('a process whose parent goes while it starts ends at once, whatever the start waits for', async () => {
  const start = `async () => { console.log('starting'); setInterval(() => {}, 1000); await new Promise(() => {}); }`;
  const child = spawnProcess('() => ({ unknown: [] })', start);
  await once(child.stdout!, 'data');
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('a process whose parent goes after its start drains', async () => {
  const start = 'async () => { setInterval(() => {}, 1000); return async () => {}; }';
  const child = spawnProcess('() => ({ unknown: [] })', start);
  const out = text(child.stdout!);
  await once(child.stdout!, 'data');
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(await out).toBe('up\ninfo app.draining \ninfo app.stopped \n');
});
