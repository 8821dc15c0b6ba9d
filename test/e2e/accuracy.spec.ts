/** What requests allow in accuracy, over REST: the right variant at each bound, told in the answer; under load never a worse one. */
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobReceipt, JobView, ModelCard, TextClassificationOutput } from '@shoal/contracts';
import { expect, test } from 'vitest';
import { type Api, inParallel, openFleet, readMetric } from '../support/fleet.js';
import { addCascade, addVariants, VARIANTS, writeQuality } from '../support/measured-variants.js';
import { ROOT } from '../support/processes.js';

const MODEL = 'wordnet-topic';
const TEXT = 'a large fish that lives in the sea';
const REQUESTS = 400;

async function open(
  env: Readonly<Record<string, string>> = {},
  add: (folder: string) => void | Promise<void> = addVariants,
) {
  const fleet = await openFleet({ model: MODEL, env });
  const folder = join(fleet.env.SHOAL_MODELS_DIR!, MODEL, '1');
  await add(folder);
  const [api, worker] = await Promise.all([fleet.startApi(), fleet.startWorker()]);
  return { api, worker, folder };
}

async function run(api: Api, body: object): Promise<JobView> {
  const response = await api.post('/v1/jobs?wait=60', { model: MODEL, input: TEXT, ...body });
  expect([response.status, response.status === 200 ? '' : await response.clone().text()]).toEqual([200, '']);
  return (await response.json()) as JobView;
}

/** The variant that a job was accepted for. */
async function accepted(api: Api, max_accuracy_loss: number): Promise<string> {
  const response = await api.post('/v1/jobs', { model: MODEL, input: TEXT, max_accuracy_loss });
  expect(response.status).toBe(202);
  return variantOf(((await response.json()) as JobReceipt).id);
}

const variantOf = (id: string) => /\.1\.(\w+)\.0\.\w+$/.exec(id)![1]!;
const boundOf = (variant: string) => (variant === 'fp32' ? 0 : VARIANTS[variant as keyof typeof VARIANTS].bound);

test('a variant that no worker has loaded yet makes no request wait, and is loaded for those to come', async () => {
  const { api, worker } = await open();
  const first = await run(api, { max_accuracy_loss: 0.02 });
  expect([first.variant, first.status]).toEqual(['fp32', 'completed']);
  await expect.poll(async () => (await run(api, { max_accuracy_loss: 0.02 })).variant).toBe('layers2');
  // Nobody has asked for it.
  expect(worker.output()).not.toContain('"variant":"int8"');
  expect((await run(api, { max_accuracy_loss: 0.005 })).variant).toBe('fp32');
  await expect.poll(async () => (await run(api, { max_accuracy_loss: 0.005 })).variant).toBe('int8');
});

test('a request gets the fastest variant that loses no more than is allowed, is told which, and that one has answered', async () => {
  const { api, worker, folder } = await open();
  const outputs = new Map<string, unknown>();
  for (const variant of ['fp32', ...Object.keys(VARIANTS)]) {
    outputs.set(variant, (await run(api, { model: `${MODEL}:${variant}` })).output);
  }
  expect(new Set([...outputs.values()].map((output) => JSON.stringify(output))).size).toBe(3);
  // The API has heard that workers have them.
  await expect.poll(async () => (await run(api, { max_accuracy_loss: 0.005 })).variant).toBe('int8');
  await expect.poll(async () => (await run(api, { max_accuracy_loss: 0.02 })).variant).toBe('layers2');
  for (const [allowed, variant] of [
    [undefined, 'fp32'],
    [0, 'fp32'],
    [0.0049, 'fp32'],
    [0.005, 'int8'],
    [0.0199, 'int8'],
    [0.02, 'layers2'],
    [1, 'layers2'],
  ] as const) {
    const job = await run(api, { max_accuracy_loss: allowed });
    const bound = boundOf(variant);
    const loss = variant === 'fp32' ? null : { metric: 'accuracy', mean: bound / 2, bound };
    expect([job.variant, job.accuracy_loss], `${allowed}`).toEqual([variant, loss]);
    expect(job.output, `${allowed}`).toEqual(outputs.get(variant));
  }
  const card = (await (await fetch(`${api.url}/v1/models/${MODEL}`)).json()) as ModelCard;
  const told = card.served.map(({ original, quality }) => original ?? quality?.accuracy_loss.bound);
  expect(told).toEqual([true, 0.005, 0.02]);

  // Measured anew while everything runs: it counts at once, and nothing is loaded again for it.
  await writeQuality(folder, { layers2: 0.03 });
  await expect.poll(async () => (await run(api, { max_accuracy_loss: 0.02 })).variant).toBe('int8');
  expect((await run(api, { max_accuracy_loss: 0.03 })).variant).toBe('layers2');
  await writeQuality(folder, { int8: -1 });
  await expect.poll(async () => (await run(api, { max_accuracy_loss: 1e-9 })).variant).toBe('int8');
  expect((await run(api, {})).variant).toBe('fp32');
  expect(worker.output()).not.toContain('model.unloaded');
});

test('under load only those that allow it are given less, never less than they allow, and only as long as it lasts', async () => {
  const { api } = await open({ SHOAL_ACCURACY_UNDER_LOAD: 'true', SHOAL_DELAY_OBJECTIVE: '1s' });
  const all = async () => await Promise.all([0, 0.005, 0.02].map((allowed) => accepted(api, allowed)));
  expect(await all()).toEqual(['fp32', 'fp32', 'fp32']);
  // More than a minute of work, far more than the objective.
  const input = Array.from({ length: 1000 }, (_, n) => `${TEXT} ${n}`.repeat(4));
  const heavy = await inParallel(4, Array(30).fill(input), (texts: readonly string[]) => api.submit(texts));
  await expect.poll(() => accepted(api, 0.02)).toBe('layers2');
  await expect.poll(() => accepted(api, 0.005)).toBe('int8');
  const budgets = Array.from({ length: REQUESTS }, (_, n) => [0, 0.004, 0.005, 0.01, 0.02, 0.5][n % 6]!);
  const variants = await inParallel(8, budgets, (allowed) => accepted(api, allowed));
  for (const [n, variant] of variants.entries()) expect(boundOf(variant)).toBeLessThanOrEqual(budgets[n]!);
  expect(new Set(variants)).toEqual(new Set(['fp32', 'int8', 'layers2']));
  await inParallel(4, heavy, (id) => fetch(`${api.url}/v1/jobs/${id}`, { method: 'DELETE' }));
  await expect.poll(all).toEqual(['fp32', 'fp32', 'fp32']);
});

test('a variant that is replaced before a job runs does not answer it with the loss of the one that was chosen', async () => {
  const fleet = await openFleet({ model: MODEL });
  const folder = join(fleet.env.SHOAL_MODELS_DIR!, MODEL, '1');
  await addVariants(folder);
  const api = await fleet.startApi();
  // Variants are for requests once a worker has loaded them.
  const before = await fleet.startWorker();
  await expect.poll(async () => (await run(api, { max_accuracy_loss: 0.005 })).variant).toBe('int8');
  await before.stop();
  const response = await api.post('/v1/jobs', { model: MODEL, input: TEXT, max_accuracy_loss: 0.005 });
  const { id } = (await response.json()) as JobReceipt;
  expect(variantOf(id)).toBe('int8');
  // It has been promised nothing of a loss.
  const { id: named } = (await (
    await api.post('/v1/jobs', { model: `${MODEL}:int8`, input: TEXT })
  ).json()) as JobReceipt;
  copyFileSync(join(folder, 'onnx/model_layers2.onnx'), join(folder, 'onnx/model_int8.onnx'));
  await fleet.startWorker();
  const ended = async () => (await (await fetch(`${api.url}/v1/jobs/${id}`)).json()) as JobView;
  await expect.poll(async () => (await ended()).error?.code).toBe('model_changed');
  expect((await ended()).output).toBeNull();
  const other = (await (await fetch(`${api.url}/v1/jobs/${named}?wait=30`)).json()) as JobView;
  expect([other.status, other.variant, other.accuracy_loss]).toEqual(['completed', 'int8', null]);
  // Nothing is known of what is in its place, so who allows a loss gets the original.
  await expect.poll(async () => (await run(api, { max_accuracy_loss: 0.005 })).variant).toBe('fp32');
});

test('a worker tells how many texts of a cascade its teacher has answered, and of other variants nothing', async () => {
  const { api, worker } = await open({}, addCascade);
  const lines = readFileSync(join(ROOT, 'test/fixtures/wordnet-topic/eval.jsonl'), 'utf8').split('\n', 60);
  const input = lines.map((line) => (JSON.parse(line) as { text: string }).text);
  await run(api, { input });
  const { output } = await run(api, { model: `${MODEL}:cascade10`, input });
  const unsure = (output as readonly TextClassificationOutput[]).filter(([best]) => best!.score < 0.5);
  expect(unsure.length).toBeGreaterThan(0);
  expect(await readMetric(worker.metricsUrl, 'shoal_escalated_total')).toBe(unsure.length);
  const text = await (await fetch(worker.metricsUrl)).text();
  const labels = /^shoal_escalated_total\{(.+)\} /m.exec(text)?.[1];
  expect(labels).toContain('variant="cascade10"');
  expect(text).toContain(`shoal_inferences_total{${labels}} ${input.length}`);
  expect(text.match(/^shoal_escalated_total\{/gm)).toHaveLength(1);
});
