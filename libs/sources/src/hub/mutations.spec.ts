/** Thousands of answers of a hub that is broken or hostile: each pull brings the very files, or is refused in words. */
import { lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startHub } from '../testing/hub-server.js';
import { mutationsOf } from '../testing/mutations.js';
import { filesBelow, openBench } from '../testing/pulling.js';
import { seeded, spoil } from '../testing/spoil.js';

const { bench, pullIt } = openBench();

const FILES: Readonly<Record<string, Buffer>> = {
  'config.json': Buffer.from(JSON.stringify({ model_type: 'llama', hidden_size: 8 })),
  'tokenizer.json': Buffer.from(JSON.stringify({ model: { vocab: {} } })),
  'model.safetensors': Buffer.from(Array.from({ length: 700 }, (_, n) => n % 256)),
};

/** What the hub would have answered: asked of itself, by a request that is not spoilt. */
async function honestAnswer(url: string, request: IncomingMessage) {
  const answer = await fetch(`${url}${request.url}`, {
    redirect: 'manual',
    headers: { authorization: request.headers.authorization ?? '', 'x-honest': 'yes' },
  });
  const headers = Object.fromEntries([...answer.headers].filter(([name]) => /^(location|link|etag|x-)/.test(name)));
  return { headers, body: Buffer.from(await answer.arrayBuffer()) };
}

const { count, seed } = mutationsOf(10_000);

test(`${count} of them, from seed ${seed}`, async () => {
  const pick = seeded(seed);
  const hub = await startHub([{ repo: 'org/tiny', files: FILES, token: 'canary-token' }], { pageSize: 2 });
  onTestFinished(() => hub.close());
  const settings = { hub: { endpoint: hub.url, token: 'canary-token' }, headMs: 60, stallMs: 60 };
  const outside = join(bench.folder, 'outside');
  const downloads = join(bench.folder, 'in', 'side', 'pulled');
  mkdirSync(outside);
  writeFileSync(join(outside, 'mine'), 'mine');
  let refused = 0;
  for (let n = 0; n < count; n++) {
    // Of the answers of a pull, which one, and for how many times.
    let wait = pick(7);
    let times = pick(3) === 0 ? 1 : 99;
    hub.intercept = (request: IncomingMessage, response: ServerResponse) => {
      if (request.headers['x-honest'] !== undefined || wait-- > 0 || times-- <= 0) return false;
      void honestAnswer(hub.url, request).then((honest) => spoil(request, response, honest, pick));
      return true;
    };
    hub.asked.length = 0;
    bench.said.length = 0;
    const outcome = await pullIt('hf:org/tiny', settings, { downloads }).catch((error: unknown) => error as Error);
    const said = [...bench.said, String(outcome)].join('\n');
    expect(said, `mutation ${n}`).not.toContain('canary');
    if (outcome instanceof Error) {
      refused++;
      expect([outcome.name, outcome.message.split('\n').length], `mutation ${n}: ${outcome.stack}`).toEqual([
        'ShoalError',
        1,
      ]);
    }
    const there = lstatSync(downloads, { throwIfNoEntry: false }) ? filesBelow(downloads) : {};
    for (const [path, text] of Object.entries(there)) {
      if (path.includes('.partial/') || path.endsWith('/.pulled.json')) continue;
      expect(text, `mutation ${n}: ${path}`).toBe(FILES[basename(path)]?.toString('latin1'));
    }
    expect(readdirSync(bench.folder).sort(), `mutation ${n}`).toEqual(
      lstatSync(join(bench.folder, 'in'), { throwIfNoEntry: false }) ? ['in', 'outside'] : ['outside'],
    );
    // What one has left is there for the next one, now and then.
    if (pick(4) > 0) rmSync(join(bench.folder, 'in'), { recursive: true, force: true });
  }
  expect(filesBelow(outside)).toEqual({ mine: 'mine' });
  expect(refused).toBeGreaterThan(0.4 * count);
  expect(refused).toBeLessThan(0.96 * count);
}, 1_800_000);
