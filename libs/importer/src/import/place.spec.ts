/** Of imports that end at the same time, one takes the place, and the others are told or take it one after the other. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { placeVersion } from './place.js';

const COUNT = 8;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'shoal-place-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
});

/** So many at once; what they were told. */
async function placeAll(target: string, force: boolean): Promise<string[]> {
  const all = Array.from({ length: COUNT }, (_, n) => {
    const draft = join(root, `draft-${n}`);
    mkdirSync(join(draft, 'version'), { recursive: true });
    writeFileSync(join(draft, 'version', 'of'), String(n));
    return placeVersion(join(draft, 'version'), target, { draft, force });
  });
  const ends = await Promise.allSettled(all);
  return ends.flatMap((end) => (end.status === 'rejected' ? [(end.reason as Error).message] : []));
}

test('of several one is there, and the others are told what to do', async () => {
  for (let n = 1; n <= 5; n++) {
    const target = join(root, 'models', `m${n}`, '1');
    const told = `${target} is there: --version 2 adds a version beside it, --force replaces it`;
    expect(await placeAll(target, false)).toEqual(new Array(COUNT - 1).fill(told));
    expect(readdirSync(target)).toEqual(['of']);
    rmSync(join(root, 'models'), { recursive: true });
    for (let m = 0; m < COUNT; m++) rmSync(join(root, `draft-${m}`), { recursive: true });
  }
});

test('those that replace it all do, one after the other', async () => {
  const target = join(root, 'models', 'm', '1');
  expect(await placeAll(target, true)).toEqual([]);
  expect(readdirSync(target)).toEqual(['of']);
});
