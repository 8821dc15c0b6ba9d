/** `npm start` as a person meets it: what it prints, what it answers, and what is left when it ends. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { JobView } from '@shoal/contracts';
import { freePort } from '@shoal/tools/ports';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { foreignEnvironment, hasEnded, ROOT } from '../support/processes.js';

/** Promised for Ctrl-C. */
const STOP_MS = 10_000;

let dataDir: string;
const groups: number[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'shoal-start-'));
});
afterEach(() => {
  for (const pid of groups.splice(0)) if (!hasEnded(pid)) process.kill(-pid, 'SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
});

/** `npm start` without npm, in a process group of its own, as a terminal runs it. */
function npmStart(env: Record<string, string>, ...args: string[]) {
  const child = spawn(process.execPath, ['tools/start.mjs', ...args], {
    cwd: ROOT,
    // Measured batch limits are worth sharing: a worker starts faster with them.
    env: {
      ...foreignEnvironment(),
      SHOAL_METRICS_PORT: '0',
      SHOAL_DATA_DIR: dataDir,
      SHOAL_CACHE_DIR: join(ROOT, '.shoal/cache'),
      ...env,
    },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  groups.push(child.pid!);
  const printed = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed.stderr += text;
  });
  const exited = once(child, 'close').then(([code]) => code as number | null);
  return { child, printed, exited };
}

/** Resolves with what was printed once the banner is complete. */
async function ready({ child, printed, exited }: ReturnType<typeof npmStart>): Promise<string> {
  void exited.then(() => child.stdout.emit('data', ''));
  while (!printed.stdout.includes('Ctrl-C stops everything.')) {
    if (child.exitCode !== null) throw new Error(`start ended:\n${printed.stdout}${printed.stderr}`);
    await once(child.stdout, 'data');
  }
  return printed.stdout;
}

/** Every process below this one, by Linux's process table. */
function descendantsOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => parentOf(name) === pid)
    .map(Number);
  return [...children, ...children.flatMap(descendantsOf)];
}

function parentOf(pid: string): number | undefined {
  try {
    const [, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return Number(parent);
  } catch {
    return undefined;
  }
}

/** The request that a curl command line makes. */
async function runCurl(command: string): Promise<JobView> {
  const [, url = ''] = /'(http[^']+)'/.exec(command) ?? [];
  const [, body = ''] = /-d '([^']+)'/.exec(command) ?? [];
  const [, type = ''] = /-H 'content-type: ([^']+)'/.exec(command) ?? [];
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body });
  expect(response.ok).toBe(true);
  return (await response.json()) as JobView;
}

/** What the events of a chat add up to, which have to end as streams do. */
function textOf(events: string): string {
  const lines = events.split('\n').filter((line) => line.startsWith('data: '));
  expect(lines.pop()).toBe('data: [DONE]');
  const chunks = lines.map((line) => JSON.parse(line.slice(6)) as { choices: [{ delta: { content?: string } }] });
  return chunks.map(({ choices: [{ delta }] }) => delta.content ?? '').join('');
}

async function expectAllEnded(pids: readonly number[], within = 0): Promise<void> {
  expect(pids.length).toBeGreaterThanOrEqual(3);
  await expect.poll(() => pids.filter((pid) => !hasEnded(pid)), { timeout: within }).toEqual([]);
}

describe('npm start', () => {
  test('prints a curl that answers, and Ctrl-C leaves no process behind', async () => {
    const start = npmStart({ PORT: String(await freePort()) });
    const printed = await ready(start);
    const curl = printed.split('\n').find((line) => line.trim().startsWith('curl ')) ?? '';
    expect(await runCurl(curl)).toMatchObject({ status: 'completed', model: 'wordnet-topic' });

    const pids = descendantsOf(start.child.pid!);
    const since = performance.now();
    process.kill(-start.child.pid!, 'SIGINT');
    expect(await start.exited).toBe(0);
    expect(performance.now() - since).toBeLessThan(STOP_MS);
    await expectAllEnded(pids);
    expect(start.printed.stderr).toBe('');
  });

  test('without a model that can be served it says why and how one is added, and serves one that comes', async () => {
    const folder = join(dataDir, 'models');
    mkdirSync(join(folder, 'empty/1'), { recursive: true });
    const port = await freePort();
    const start = npmStart({ PORT: String(port), SHOAL_MODELS_DIR: folder });
    const printed = await ready(start);
    expect(printed).toMatch(/\nNot served, until it is mended:\n\n {2}empty\/1: .*ONNX/);
    expect(printed).toContain(`There is no model in ${folder} to serve yet.`);
    expect(printed).toContain('npx shoal import hf:');
    expect(printed).toMatch(new RegExp(`^ +PORT=${port} .*SHOAL_MODELS_DIR=${folder} .*npx shoal models ls$`, 'm'));
    cpSync(join(ROOT, 'models/wordnet-topic'), join(folder, 'topic'), { recursive: true });
    const submit = () =>
      fetch(`http://127.0.0.1:${port}/v1/jobs?wait=60`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'topic', input: 'a small knob' }),
      });
    await expect.poll(async () => (await submit()).status).toBe(200);
    await stop(start.child, start.exited);
    expect(start.printed.stderr).toBe('');
  });

  test('the examples of README.md answer as it prints them', async () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const port = String(await freePort());
    const blocks = [...readme.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, code]) => ({
      language,
      code: code!,
    }));
    const example = (first: string) => blocks.findIndex(({ code }) => code.startsWith(first));
    const [job, chat, client] = [example("curl -s 'http"), example('curl -sN'), example('import OpenAI')] as const;
    const start = npmStart({ PORT: port });
    await ready(start);
    const run = async (command: string, ...args: string[]) => {
      const code = args.pop()!.replace('127.0.0.1:8080', `127.0.0.1:${port}`);
      return (await promisify(execFile)(command, [...args, code], { cwd: ROOT, env: foreignEnvironment() })).stdout;
    };
    const { status, output, usage } = JSON.parse(blocks[job + 1]!.code) as JobView;
    const answer = JSON.parse(await run('bash', '-c', blocks[job]!.code)) as JobView;
    expect(answer).toMatchObject({ status, usage });
    const labels = (from: unknown) => (from as { label: string }[]).map(({ label }) => label);
    expect(labels(answer.output)).toEqual(labels(output));
    const printed = textOf(blocks[chat + 1]!.code);
    expect(printed).not.toBe('');
    expect(textOf(await run('bash', '-c', blocks[chat]!.code))).toBe(printed);
    expect(await run(process.execPath, '--input-type=module', '-e', blocks[client]!.code)).toBe(printed);
    await stop(start.child, start.exited);
  });

  test('restarts a worker that was killed, and jobs go on', async () => {
    const start = npmStart({ PORT: String(await freePort()) });
    const printed = await ready(start);
    const curl = printed.split('\n').find((line) => line.trim().startsWith('curl ')) ?? '';
    const worker = descendantsOf(start.child.pid!).find((pid) => commandOf(pid).includes('apps/worker'))!;
    process.kill(worker, 'SIGKILL');
    while (!/\[worker\] ended \(SIGKILL\)/.test(start.printed.stdout)) await once(start.child.stdout, 'data');
    expect(await runCurl(curl.replace('wait=30', 'wait=60'))).toMatchObject({ status: 'completed' });
    await stop(start.child, start.exited);
  });

  test('leaves no process behind when it is killed itself', async () => {
    const start = npmStart({ PORT: String(await freePort()) });
    await ready(start);
    const pids = descendantsOf(start.child.pid!);
    start.child.kill('SIGKILL');
    await expectAllEnded(pids, 30_000);
  });

  test('leaves no process behind when it is killed while they start', async () => {
    const start = npmStart({ PORT: String(await freePort()), SHOAL_LOG: 'json' });
    while (!start.printed.stdout.includes('"runtime.ready"')) await once(start.child.stdout, 'data');
    const pids = descendantsOf(start.child.pid!);
    start.child.kill('SIGKILL');
    await expectAllEnded(pids, 30_000);
  });

  test('stops everything with one line when its Redis ends', async () => {
    const start = npmStart({ PORT: String(await freePort()) });
    await ready(start);
    const pids = descendantsOf(start.child.pid!);
    process.kill(pids.find((pid) => commandOf(pid).includes('redis-server'))!, 'SIGKILL');
    expect(await start.exited).toBe(1);
    expect(start.printed.stderr).toMatch(/^shoal: Redis ended \(SIGKILL\).*\n$/);
    await expectAllEnded(pids);
  });
});

describe('one clear line and an exit code for', () => {
  async function expectOneLine(env: Record<string, string>, line: RegExp): Promise<void> {
    const start = npmStart(env);
    expect(await start.exited).toBe(1);
    expect(start.printed.stderr).toMatch(line);
    expect(start.printed.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(descendantsOf(start.child.pid!)).toEqual([]);
  }

  test('a port that is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    // The one that would be proposed; where another process has it, that is as well.
    const next = createServer().listen(port + 1, '127.0.0.1');
    await once(next, 'listening').catch(() => undefined);
    const other = `(?!${port + 1} )\\d+`;
    await expectOneLine({ PORT: String(port) }, new RegExp(`^shoal: port ${port} .* is taken; .*PORT=${other} npm`));
    holder.close();
    next.close();
  });

  test('a Redis that does not answer', async () => {
    const env = { PORT: String(await freePort()), REDIS_URL: `redis://:canary@127.0.0.1:${await freePort()}` };
    await expectOneLine(env, /^shoal: Redis at redis:\/\/127\.0\.0\.1:\d+ does not answer \(ECONNREFUSED\)/);
  });

  test('a misspelt variable that would leave the API open', async () => {
    const env = { PORT: String(await freePort()), SHOAL_API_KEY: 'acme:canary' };
    await expectOneLine(
      env,
      /^shoal: SHOAL_API_KEY: is not a variable of Shoal; did you mean SHOAL_API_KEYS or SHOAL_KEY\?\n$/,
    );
  });

  test('a metrics port that is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const env = { PORT: String(await freePort()), SHOAL_METRICS_PORT: String(port) };
    await expectOneLine(env, new RegExp(`could not start: SHOAL_METRICS_PORT: port ${port} .* is taken; set another`));
    holder.close();
  });

  test('a model folder that is not there', async () => {
    const env = { PORT: String(await freePort()), SHOAL_MODELS_DIR: join(dataDir, 'none') };
    await expectOneLine(env, /^shoal: there is no folder .*none for models: create it, or set SHOAL_MODELS_DIR/);
  });

  test('a model that is asked for and not there', async () => {
    await expectOneLine(
      { PORT: String(await freePort()), SHOAL_MODELS: 'nemo' },
      /^shoal: worker could not start: .*nemo/,
    );
  });

  test('a model that is asked for and cannot be served, with the reason', async () => {
    const folder = join(dataDir, 'models');
    mkdirSync(join(folder, 'nemo/1'), { recursive: true });
    await expectOneLine(
      { PORT: String(await freePort()), SHOAL_MODELS_DIR: folder, SHOAL_MODELS: 'nemo' },
      /^shoal: worker could not start: .*SHOAL_MODELS names nemo; .*: none; nemo\/1 is not among them: .*ONNX/,
    );
  });
});

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
}

async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  process.kill(-child.pid!, 'SIGINT');
  await exited;
}
