/** `shoal optimize` puts together what helps; ended within a stack, it goes on there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { OptimizeRequest } from '@shoal/optimizer';
import { readQuality } from '@shoal/optimizer';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const EXAMPLES = join(ROOT, 'test/fixtures/wordnet-topic/eval.jsonl');
const SCRIPTED = join(ROOT, 'libs/optimizer/dist/testing/scripted-run.js');

let folder: string;
let version: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-stacks-'));
  version = join(folder, 'models/topic/1');
  cpSync(join(ROOT, 'models/wordnet-topic'), join(folder, 'models/topic'), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

/** See scripted-methods.ts. */
const SCRIPT = {
  stages: { depth: ['deep'], width: ['wide', 'broken'], precision: ['flat'] },
  acts: {
    ...{ deep: 'half', wide: 'half', broken: 'refuse', flat: 'half' },
    // A quarter of the layers; what cannot be made; the same graph as that of a part.
    ...{ deep_wide: 'half', deep_wide_flat: 'refuse', deep_flat: 'copy', wide_flat: 'copy' },
  },
};

/** Dies at the `death`th word that it says or hears; 0: never. Resolves to what became of each candidate, or null. */
async function run(request: OptimizeRequest, death = 0): Promise<Readonly<Record<string, string>> | null> {
  const args = [SCRIPTED, JSON.stringify(request), String(death)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (signal === 'SIGKILL') return null;
  expect(code).toBe(0);
  const { outcomes } = JSON.parse(printed) as { outcomes: readonly (readonly [string, string])[] };
  return Object.fromEntries(outcomes);
}

test('parts that passed are stacked, and what is no better than a part is not kept; killed at every stack, nothing is done twice', async () => {
  const [data, log, to] = [join(folder, 'data.jsonl'), join(folder, 'log'), join(folder, 'optimize')];
  writeFileSync(data, readFileSync(EXAMPLES, 'utf8').split('\n').slice(0, 120).join('\n'));
  writeFileSync(`${data}.script`, JSON.stringify({ ...SCRIPT, log }));
  writeFileSync(log, '');
  const request: OptimizeRequest = {
    ...{ models: join(folder, 'models'), model: 'topic', data, allowed: { loss: 1 }, seconds: 3600 },
    ...{ methods: [], force: false, to },
  };
  const path = join(to, 'topic@1/journal.jsonl');
  const begun = () => [...readFileSync(log, 'utf8').matchAll(/^begun (\S+)/gm)].map(([, variant]) => variant!);
  const known = () => (existsSync(path) ? [...readFileSync(path, 'utf8').matchAll(/"variant":"(\w+)".*\n/g)] : []);

  let [outcomes, killed]: [Awaited<ReturnType<typeof run>>, Set<string>] = [null, new Set()];
  // Before the twentieth word the plan is told.
  for (let death = 20; outcomes === null; death += 2) {
    const [before, there] = [begun().length, new Set(known().map(([, variant]) => variant))];
    outcomes = await run(request, death);
    expect(
      begun()
        .slice(before)
        .filter((variant) => there.has(variant)),
    ).toEqual([]);
    if (outcomes === null) killed.add(begun().at(-1) ?? '');
  }
  expect([...killed]).toContain('deep_wide');

  expect(outcomes).toEqual({
    ...{ deep: 'passed', wide: 'passed', flat: 'passed', broken: 'refused', deep_wide: 'passed' },
    ...{ deep_wide_flat: 'refused', deep_flat: 'outdone', wide_flat: 'outdone' },
  });
  // Parts first, the most promising stack before the others, and none of a part that cannot be made.
  const order = [...new Set(begun())];
  expect(new Set(order.slice(0, 4))).toEqual(new Set(['deep', 'wide', 'flat', 'broken']));
  expect(order.indexOf('deep_wide_flat')).toBe(order.indexOf('deep_wide') + 1);
  expect(readdirSync(join(to, 'topic@1/made'))).toEqual([]);

  const { variants } = (await readQuality(version))!;
  expect(variants.deep_wide).toMatchObject({ verdict: 'passed', method: 'scripted deep; then scripted deep_wide' });
  expect(readdirSync(join(version, 'onnx')).sort()).toEqual(
    ['deep', 'deep_wide', 'flat', 'wide']
      .map((name) => `model_${name}.onnx`)
      .concat('model.onnx')
      .sort(),
  );
});
