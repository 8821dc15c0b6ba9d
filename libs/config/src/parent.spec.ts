import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const helper = fileURLToPath(new URL('../dist/parent.js', import.meta.url));
const LOAD = `const { exitWithParent } = await import(${JSON.stringify(helper)});`;
const DRAIN = `process.on('SIGTERM', () => process.exit(42));`;
const FOREVER = 'setInterval(() => {}, 1000);';

/** A process with a channel to this one, once it has printed its first line. */
async function spawnScript(...statements: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', statements.join('\n')], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  await once(child.stdout!, 'data');
  return child;
}

test('a process drains by its own SIGTERM handler when its parent goes', async () => {
  const child = await spawnScript(LOAD, DRAIN, 'exitWithParent();', `console.log('listening');`, FOREVER);
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([42, null]);
});

test('a parent that went before the call counts too', async () => {
  const child = await spawnScript(LOAD, DRAIN, FOREVER, `process.on('disconnect', exitWithParent); console.log('up');`);
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([42, null]);
});

test('the channel to the parent does not keep a process alive that has nothing left to do', async () => {
  const child = await spawnScript(LOAD, 'exitWithParent();', `console.log('done');`);
  expect(await once(child, 'exit')).toEqual([0, null]);
});
