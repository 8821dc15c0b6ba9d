/** Every example of docs/api.md and docs/files.md runs against a server with a model of each task, and is answered as its page says. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { startRedis } from '@shoal/tools/redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { foreignEnvironment, ROOT, startApi, startWorker } from '../support/processes.js';

const run = promisify(execFile);
const readPage = (name: string) => readFileSync(join(ROOT, 'docs', name), 'utf8');
const PAGE = readPage('api.md');

interface Example {
  readonly section: string;
  readonly language: 'sh' | 'js';
  readonly code: string;
  /** What the page says is answered. */
  readonly answer: unknown;
}

/** The blocks of a section, in order; a `json` block is the answer of the block before it. */
function examplesOf(page: string): Example[] {
  return page.split(/^## /m).flatMap((part) => {
    const section = part.slice(0, part.indexOf('\n'));
    const blocks = [...part.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, code]) => [language, code!]);
    return blocks.flatMap(([language, code], n): Example[] => {
      if ((language !== 'sh' && language !== 'js') || code!.startsWith('export ') || code === IMPORTS) return [];
      const [next, text] = blocks[n + 1] ?? [];
      return [{ section, language, code: code!, answer: next === 'json' ? JSON.parse(text!) : undefined }];
    });
  });
}

/** How models for the examples are made, from the folder of the repository. */
const IMPORTS = /^```sh\n(npx shoal import [\s\S]*?)^```$/m.exec(PAGE)![1]!;
const EXAMPLES = examplesOf(PAGE);
const EXAMPLES_OF_FILES = examplesOf(readPage('files.md'));

const dir = mkdtempSync(join(tmpdir(), 'shoal-docs-'));
const models = join(dir, 'models');
const ended: (() => Promise<unknown>)[] = [];
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  for (const name of ['wordnet-topic', 'wordnet-embed', 'wordnet-lm'])
    cpSync(join(ROOT, 'models', name), join(models, name), { recursive: true });
  // A folder like the repository's, so that its own models stay as they are.
  for (const name of ['node_modules', 'test']) symlinkSync(join(ROOT, name), join(dir, name));
  const own = { ...foreignEnvironment(), SHOAL_MODELS_DIR: models };
  await run('bash', ['-euo', 'pipefail', '-c', IMPORTS], { cwd: dir, env: own });
  const redis = await startRedis({ dir });
  ended.unshift(() => redis.stop());
  const shared = { SHOAL_MODELS_DIR: models, SHOAL_CACHE_DIR: join(dir, 'cache'), SHOAL_API_KEYS: 'acme:acme-key' };
  const files = pathToFileURL(join(dir, 'files')).href;
  const api = await startApi({ redisUrl: redis.url, env: { ...shared, SHOAL_STORE: files } });
  ended.unshift(() => api.stop());
  const worker = await startWorker({ redisUrl: redis.url, env: shared });
  ended.unshift(() => worker.stop());
  env = { ...foreignEnvironment(), SHOAL: api.url, KEY: 'acme-key' };
});

afterAll(async () => {
  for (const end of ended) await end();
  rmSync(dir, { recursive: true });
});

/** What an example prints. In the folder of the repository, so that `import OpenAI` finds it. */
async function outputOf({ language, code }: Example): Promise<string> {
  const options = { cwd: ROOT, env };
  const { stdout } =
    language === 'sh'
      ? await run('bash', ['-euo', 'pipefail', '-c', code], options)
      : await run(process.execPath, ['--input-type=module', '-e', code], options);
  return stdout.trim();
}

/** As the page has it: the same fields of the same types, and the same words where the page spells them out. */
function expectLike(actual: unknown, documented: unknown, path = 'answer'): void {
  if (Array.isArray(documented)) {
    expect(Array.isArray(actual), path).toBe(true);
    const entries = actual as unknown[];
    expect(entries.length, path).toBeGreaterThanOrEqual(documented.length);
    for (const [n, entry] of documented.entries()) expectLike(entries[n], entry, `${path}[${n}]`);
  } else if (typeof documented === 'object' && documented !== null) {
    expect(actual, path).toBeTypeOf('object');
    for (const [key, value] of Object.entries(documented)) {
      expectLike((actual as Record<string, unknown>)[key], value, `${path}.${key}`);
    }
  } else {
    expect(typeof actual, path).toBe(typeof documented);
    if (/\.(status|model|code|detail|task|type|version)$/.test(path)) expect(actual, path).toBe(documented);
  }
}

const numbered = (examples: readonly Example[]) =>
  examples.map((example, n) => [`${n + 1}, ${example.section}`, example] as const);

async function expectDocumented(example: Example): Promise<void> {
  const output = await outputOf(example);
  expect(output).not.toBe('');
  if (example.answer !== undefined) expectLike(JSON.parse(output.split('\n').at(-1)!), example.answer);
}

const eventsIn = (output: string) => [...output.matchAll(/^event: (.*)$/gm)].map(([, type]) => type);

describe('docs/api.md', () => {
  test('has an example of every task', () => {
    const pages = EXAMPLES.map(({ code }) => code).join('\n');
    for (const model of ['wordnet-topic', 'wordnet-embed', 'wordnet-lm', 'my-tagger', 'my-reranker', 'my-tensors']) {
      expect(pages).toContain(model);
    }
  });

  test.each(numbered(EXAMPLES))('example %s', (_, example) => expectDocumented(example));

  test('a chat is streamed to its end, and OpenAI’s client shows the same text', async () => {
    const [stream, client] = EXAMPLES.filter(({ code }) => /["']?stream["']?: ?true/.test(code));
    const output = await outputOf(stream!);
    const lines = output.split('\n').filter((line) => line.startsWith('data: {'));
    const events = lines.map((line) => JSON.parse(line.slice(6)) as { choices: [{ delta: { content?: string } }] });
    expect(output.endsWith('data: [DONE]')).toBe(true);
    expect(events.map(({ choices: [{ delta }] }) => delta.content ?? '').join('')).toBe(await outputOf(client!));
  });

  test('a kept chat is read on from an event that was had', async () => {
    const example = EXAMPLES.find(({ code }) => code.includes('last-event-id'))!;
    const output = await outputOf(example);
    expect(output).toMatch(/^id: \d+\.1$/m);
    expect(output).not.toContain('id: 1.0\n');
    expect(output.endsWith('data: [DONE]')).toBe(true);
  });

  test('repeated with an Idempotency-Key a job is the same one', async () => {
    const example = EXAMPLES.find(({ code }) => code.includes('idempotency-key'))!;
    const ids = (await outputOf(example)).split('\n').map((line) => (JSON.parse(line) as { id: string }).id);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });

  test('an array that is followed ends with its completion', async () => {
    const example = EXAMPLES.find(({ section }) => section === 'Follow a job')!;
    const types = eventsIn(await outputOf(example));
    expect(types.filter((type) => type === 'job.output')).toHaveLength(2);
    expect(types.at(-1)).toBe('job.completed');
  });

  test('a job is followed to its end without a key', async () => {
    const example = EXAMPLES.find(({ section }) => section === 'Follow a job without a key')!;
    expect(eventsIn(await outputOf(example)).at(-1)).toBe('job.completed');
  });

  test('a job that is cancelled and erased is told so', async () => {
    const example = EXAMPLES.find(({ section }) => section === 'Cancel and erase')!;
    expect(await outputOf(example)).toBe('200 204');
  });
});

describe('docs/files.md', () => {
  test.each(numbered(EXAMPLES_OF_FILES))('example %s', (_, example) => expectDocumented(example));
});
