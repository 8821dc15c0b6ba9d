/** docs/redis.md tells of every script in libs/queue/lua. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/processes.js';

const text = readFileSync(join(ROOT, 'docs/redis.md'), 'utf8');
const section = text.slice(text.indexOf('\n## Scripts\n'), text.indexOf('\n## Versions of what is stored\n'));

/** Names without those that others include. */
const scriptsIn = (folder: string) =>
  readdirSync(join(ROOT, 'libs/queue', folder))
    .filter((name) => name.endsWith('.lua') && name !== 'lib.lua')
    .map((name) => name.replace('.lua', ''));

test('the table of scripts has a row for each, and no others', () => {
  const rows = [...section.matchAll(/^\| ([a-z][\w-]*) +\|/gm)].map(([, name]) => name!);
  expect(rows.filter((name) => name !== 'script').sort()).toEqual(scriptsIn('lua').sort());
});

test('the list of those of webhooks names each', () => {
  const list = section.slice(section.indexOf('\nThose of webhooks are in'));
  expect(scriptsIn('lua/webhooks').filter((name) => !new RegExp(`[:,]\\s+${name}\\b`).test(list))).toEqual([]);
});
