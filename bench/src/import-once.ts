/** One `shoal import` in a process of its own, and the memory that it took. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ROOT } from './root.js';

/** Resolves to the largest resident set in MiB. */
export async function importOnce(args: readonly string[]): Promise<number> {
  const preload = new URL('peak-memory.js', import.meta.url).href;
  const child = spawn(process.execPath, ['--import', preload, join(ROOT, 'apps/cli/bin/shoal.mjs'), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  const peak = /peak resident set in MiB: (\d+)/.exec(errors)?.[1];
  if (code !== 0 || peak === undefined) throw new Error(`shoal import failed:\n${errors}`);
  return Number(peak);
}
