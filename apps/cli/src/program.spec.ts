/** The command line: what each command is asked for, and what is refused. */
import { resolve } from 'node:path';
import { METHOD_NAMES } from '@shoal/optimizer/method-names';
import { CommanderError } from 'commander';
import { describe, expect, test } from 'vitest';
import { createProgram, runProgram } from './program.js';

/** What the line asks for, or what is said of it. */
async function read(...args: string[]) {
  const asked: unknown[] = [];
  const note = (name: string) => async (request: unknown) => void asked.push(name, request);
  let text = '';
  const program = createProgram('1.2.3', {
    start: note('start'),
    fetchModel: note('fetch-model'),
    importModel: note('import'),
    pullModel: note('pull'),
    runModel: note('run'),
    evaluateModel: note('evaluate'),
    optimizeModel: note('optimize'),
    manageModels: note('models'),
    tuneModel: note('tune'),
    predict: note('predict'),
    manageJobs: note('jobs'),
  });
  const write = (more: string) => {
    text += more;
  };
  for (const command of [program, ...program.commands]) command.configureOutput({ writeOut: write, writeErr: write });
  const ended: unknown = await runProgram(program, args).catch((error: unknown) => error);
  const code = ended instanceof CommanderError ? ended.exitCode : undefined;
  return { asked, text, code, error: code === undefined && ended instanceof Error ? ended.message : undefined };
}

test('start takes a number of workers, 1 where left out', async () => {
  expect((await read('start')).asked).toEqual(['start', { workers: 1 }]);
  expect((await read('start', '--workers', '3')).asked).toEqual(['start', { workers: 3 }]);
});

test('import takes a source, and what to make of it', async () => {
  const request = {
    source: 'a/model',
    sha256: undefined,
    maxBytes: undefined,
    name: undefined,
    version: 1,
    dtypes: [],
    to: undefined,
    force: false,
    report: false,
  };
  expect((await read('import', 'a/model')).asked).toEqual(['import', request]);
  const options = ['--name', 'm', '--version=2', '--dtype', 'fp32,int8', '--to', 'b', '--force', '--report'];
  const wanted = { name: 'm', version: 2, dtypes: ['fp32', 'int8'], to: resolve('b'), force: true, report: true };
  expect((await read('import', ...options, 'a/model')).asked).toEqual(['import', { ...request, ...wanted }]);
});

test('models takes what is to be done, and with which', async () => {
  expect((await read('models', 'ls')).asked).toEqual(['models', { what: 'ls' }]);
  expect((await read('models', 'unload', 'm@2')).asked).toEqual(['models', { what: 'unload', name: 'm@2' }]);
  expect((await read('models', 'rm', 'm', '--all')).asked).toEqual(['models', { what: 'rm', name: 'm', all: true }]);
  expect((await read('models', 'load')).code).toBe(1);
});

test('help of optimize names every method', async () => {
  const { text } = await read('optimize', '--help');
  for (const name of METHOD_NAMES) expect(text).toContain(name);
});

test('tune takes a model, a time and rounds', async () => {
  expect((await read('tune', 'm:int8')).asked).toEqual(['tune', { model: 'm:int8', budgetMs: 300_000, rounds: 50 }]);
  const asked = { model: 'm', budgetMs: 5_400_000, rounds: 80 };
  expect((await read('tune', 'm', '--time=1.5h', '--rounds', '80')).asked).toEqual(['tune', asked]);
});

test('pull takes a source, a folder, a hash and a bound', async () => {
  const request = { source: 'hf:a/b@v1/c.gguf', sha256: undefined, maxBytes: undefined, to: undefined };
  expect((await read('pull', 'hf:a/b@v1/c.gguf')).asked).toEqual(['pull', request]);
  const options = ['--to', 'x', `--sha256=${'AB'.repeat(32)}`, '--max-size=1Gi'];
  const wanted = { source: 'https://a/b.gguf', sha256: 'ab'.repeat(32), maxBytes: 2 ** 30, to: resolve('x') };
  expect((await read('pull', 'https://a/b.gguf', ...options)).asked).toEqual(['pull', wanted]);
});

test('fetch-model takes an archive, its hash, a folder and a bound', async () => {
  const url = 'https://example.com/m.tar.gz?key=a';
  const args = ['fetch-model', `--url=${url}`, `--sha256=${'AB'.repeat(32)}`, '--to=/m/x/1'];
  const request = { url, sha256: 'ab'.repeat(32), to: '/m/x/1', maxBytes: 2 ** 34 };
  expect((await read(...args)).asked).toEqual(['fetch-model', request]);
  expect((await read(...args, '--max-size', '512Mi')).asked[1]).toMatchObject({ maxBytes: 2 ** 29 });
});

test('run takes a model, and a prompt where there is one', async () => {
  const request = { model: 'lm', prompt: undefined, variant: undefined, context: undefined, settings: {} };
  expect((await read('run', 'lm')).asked).toEqual(['run', request]);
  expect((await read('run', 'lm', 'Hello')).asked).toEqual(['run', { ...request, prompt: 'Hello' }]);
  expect((await read('run', 'lm', '-p', '-1?')).asked).toEqual(['run', { ...request, prompt: '-1?' }]);
  const options = ['--variant=int4', '--context=64', '--temperature=.5', '--top-p=0.9', '--top-k', '40', '--min-p=0.1'];
  const more = ['--seed=-7', '--max-tokens=8', '--stop=a', '--stop', '\n', '--system=Be brief.'];
  expect((await read('run', 'lm', ...options, ...more)).asked[1]).toEqual({
    ...{ ...request, variant: 'int4', context: 64 },
    settings: {
      ...{ temperature: 0.5, top_p: 0.9, top_k: 40, min_p: 0.1, seed: -7, max_tokens: 8 },
      ...{ stop: ['a', '\n'], system: 'Be brief.' },
    },
  });
  expect((await read('run', 'lm', 'a', '-p', 'b')).error).toContain('the prompt is there twice');
});

test('evaluate takes two models, examples, and what may be lost', async () => {
  const request = {
    ...{ original: 'm', candidate: 'm:int8', data: resolve('a.jsonl'), maxLoss: 0.01, metric: undefined },
    ...{ json: false, keep: false },
  };
  expect((await read('evaluate', 'm', 'm:int8', '--data', 'a.jsonl')).asked).toEqual(['evaluate', request]);
  const options = ['--data=a.jsonl', '--max-loss', '0.5%', '--metric=f1', '--json', '--keep'];
  const wanted = { maxLoss: 0.005, metric: 'f1', json: true, keep: true };
  expect((await read('evaluate', 'm', 'm:int8', ...options)).asked).toEqual(['evaluate', { ...request, ...wanted }]);
});

test('optimize takes a model, examples, what may be lost, a time and methods', async () => {
  const request = {
    ...{ model: 'm@1', data: resolve('a.jsonl'), maxLoss: 0.01, metric: undefined, time: 1800, methods: [] },
    ...{ force: false, plan: false, teacher: undefined },
  };
  expect((await read('optimize', 'm@1', '--data', 'a.jsonl')).asked).toEqual(['optimize', request]);
  const options = ['--data=a.jsonl', '--max-loss=0.5%', '--metric=f1', '--time', '8h', '--methods', 'int8, static'];
  const wanted = { maxLoss: 0.005, metric: 'f1', time: 28_800, methods: ['int8', 'static'], force: true, plan: true };
  const { asked } = await read('optimize', 'm@1', ...options, '--force', '--plan', '--teacher=http://a:1');
  expect(asked).toEqual(['optimize', { ...request, ...wanted, teacher: 'http://a:1' }]);
  for (const [time, seconds] of [
    ['90s', 90],
    ['5m', 300],
    ['2 h', 7200],
  ] as const) {
    expect((await read('optimize', 'm', '--data=a', `--time=${time}`)).asked[1]).toMatchObject({ time: seconds });
  }
});

test('predict takes a model, what it is to answer, and how', async () => {
  const request = {
    ...{ model: 'm', text: undefined, file: undefined, column: undefined, query: undefined, parameters: undefined },
    ...{ priority: undefined, maxAccuracyLoss: undefined, timeout: undefined, url: undefined, keyFile: undefined },
    ...{ complete: false, json: false, keepGoing: false, keep: false },
  };
  expect((await read('predict', 'm')).asked).toEqual(['predict', request]);
  expect((await read('predict', 'm', '-')).asked).toEqual(['predict', { ...request, text: '-' }]);
  const options = ['--file=a.csv', '--column', 'c', '--query=q', '--parameters={"top_k":2}', '--priority', 'low'];
  const more = [
    '--max-accuracy-loss=1%',
    '--timeout=5m',
    '--url=http://a:1',
    '--key-file',
    'k',
    '--json',
    '--keep',
    '--complete',
  ];
  expect((await read('predict', 'm', ...options, ...more, '--keep-going')).asked[1]).toEqual({
    ...{ model: 'm', text: undefined, file: resolve('a.csv'), column: 'c', query: 'q', parameters: { top_k: 2 } },
    ...{ priority: 'low', maxAccuracyLoss: 0.01, timeout: 300, url: 'http://a:1', keyFile: resolve('k') },
    ...{ complete: true, json: true, keepGoing: true, keep: true },
  });
});

test('jobs takes what is to be done, and with which', async () => {
  const common = { json: false, quiet: false, url: undefined, keyFile: undefined };
  const list = { what: 'ls', status: undefined, model: undefined, limit: 20, all: false };
  expect((await read('jobs', 'ls')).asked).toEqual(['jobs', { ...list, ...common }]);
  const options = ['--status=failed', '--model=m', '--limit=3', '--all', '--quiet', '--url=http://a:1', '--key-file=k'];
  expect((await read('jobs', 'ls', ...options)).asked[1]).toEqual({
    ...{ what: 'ls', status: 'failed', model: 'm', limit: 3, all: true },
    ...{ json: false, quiet: true, url: 'http://a:1', keyFile: resolve('k') },
  });
  const got = { what: 'get', id: 'a', wait: true, ...common, json: true };
  expect((await read('jobs', 'get', 'a', '--wait', '--json')).asked).toEqual(['jobs', got]);
  expect((await read('jobs', 'follow', 'a')).asked).toEqual(['jobs', { what: 'follow', id: 'a', ...common }]);
  expect((await read('jobs', 'cancel', 'a', 'b')).asked).toEqual([
    'jobs',
    { what: 'cancel', ids: ['a', 'b'], ...common },
  ]);
  expect((await read('jobs', 'ls', '--json', '-q')).error).toBe('there is --json and --quiet: leave out one.');
  expect((await read('jobs', 'cancel')).code).toBe(1);
});

test('each command has help of its own, with an example', async () => {
  const commands = ['start', 'import', 'pull', 'run', 'evaluate', 'optimize', 'tune', 'fetch-model', 'predict', 'jobs'];
  for (const command of commands) {
    for (const args of [
      [command, '--help'],
      ['help', command],
    ]) {
      const { asked, text, code } = await read(...args);
      expect(asked).toEqual([]);
      expect(code).toBe(0);
      expect(text).toMatch(
        new RegExp(`^Usage: shoal ${command} [\\s\\S]*Examples?:\n +(PORT=9000 )?npx shoal ${command}`),
      );
    }
  }
  expect((await read('help', 'fetch-model')).text).toContain('(default: 16Gi)');
  expect((await read('help')).text).toBe((await read('--help')).text);
  expect((await read('--help')).text).toMatch(/^Usage: shoal \[options\] \[command\][\s\S]*REDIS_URL/);
  expect((await read('--version')).text).toBe('1.2.3\n');
});

describe('is refused in words that help', () => {
  const hash = `--sha256=${'a'.repeat(64)}`;
  const archive = ['fetch-model', '--url=https://a/b', hash, '--to=m'];
  test.each<[args: string[], message: string]>([
    [['imprt'], "shoal: unknown command 'imprt'\n(Did you mean import?)"],
    [['imprt', '--help'], "shoal: unknown command 'imprt'\n(Did you mean import?)"],
    [['help', 'imprt'], "shoal: unknown command 'imprt'\n(Did you mean import?)"],
    [['help', 'constructor'], "shoal: unknown command 'constructor'"],
    [['stop'], "shoal: unknown command 'stop'"],
    [['start', 'now'], "too many arguments for 'start'"],
    [['start', '--worker', '1'], '(Did you mean --workers?)\nSee "npx shoal help start".'],
    [['start', '--workers', '0'], 'It takes a whole number from 1 to 99.'],
    [['start', '--url', 'https://example.com'], "unknown option '--url'"],
    [['run'], "missing required argument 'model'"],
    [['run', 'a', 'b', 'c'], "too many arguments for 'run'"],
    [['run', 'a', '--context=1'], 'It takes a whole number from 2 to'],
    [
      ['run', 'a', '--max-tokens=0'],
      "option '--max-tokens <n>' argument '0' is invalid. max-tokens must be at least 1.",
    ],
    [['run', 'a', '--temperature=3'], 'temperature must be at most 2.'],
    [['run', 'a', '--temperature=hot'], 'temperature must be a number.'],
    [['run', 'a', '--top-p=0'], 'top-p must be more than 0.'],
    [['run', 'a', '--top-k=1.5'], 'top-k must be a whole number.'],
    [['run', 'a', '--stop='], 'stop must not be empty.'],
    [['run', 'a', ...Array.from('abcde', (text) => `--stop=${text}`)], 'stop takes up to 4 texts.'],
    [['import'], "missing required argument 'source'"],
    [['tune'], "missing required argument 'model'"],
    [['tune', 'm', '--time=5'], 'It takes a time from 10s to 24h, such as 90s or 5m.'],
    [['tune', 'm', '--time=1s'], 'It takes a time from 10s to 24h, such as 90s or 5m.'],
    [['tune', 'm', '--time=25h'], 'It takes a time from 10s to 24h, such as 90s or 5m.'],
    [['tune', 'm', '--rounds=19'], 'It takes a whole number from 20 to 200.'],
    [['pull'], "missing required argument 'source'"],
    [['pull', 'a', '--sha256=abc'], 'It takes 64 hexadecimal digits.'],
    [['import', 'a', '--version', '0'], 'It takes a whole number from 1 to'],
    [['import', 'a', '--dtype', 'fp32,'], 'It takes fp32, fp16, int8, int4, kept, or several: fp32,int8.'],
    [['evaluate', 'a', 'b'], "required option '--data <file>' not specified"],
    [['evaluate', 'a', '--data=c'], "missing required argument 'candidate'"],
    [['evaluate', 'a', 'b', '--data=c', '--max-loss=1'], 'It takes a share such as 1% or 0.01.'],
    [['evaluate', 'a', 'b', '--data=c', '--metric=speed'], 'Allowed choices are accuracy'],
    [['optimize', 'a'], "required option '--data <file>' not specified"],
    [['optimize', '--data=a'], "missing required argument 'model'"],
    [['optimize', 'a', '--data=c', '--time=30'], 'It takes a time from 1s to 1000h, such as 90s or 5m.'],
    [['optimize', 'a', '--data=c', '--time=0m'], 'It takes a time from 1s to 1000h, such as 90s or 5m.'],
    [['optimize', 'a', '--data=c', '--methods=int8,'], 'It takes names of methods, as --plan shows them: int8,int4.'],
    [['optimize', 'a', '--data=c', '--max-loss=half'], 'It takes a share such as 1% or 0.01.'],
    [['predict'], "missing required argument 'model'"],
    [['predict', 'm', '--parameters=[1]'], `It takes a JSON object, such as '{"top_k": 2}'.`],
    [['predict', 'm', '--parameters={'], `It takes a JSON object, such as '{"top_k": 2}'.`],
    [['predict', 'm', '--priority=urgent'], 'Allowed choices are low, normal, high.'],
    [['predict', 'm', '--timeout=8d'], 'It takes a time from 1s to 168h'],
    [['predict', 'm', '--key=canary'], "unknown option '--key=canary'"],
    [['fetch-model'], "required option '--url <url>' not specified"],
    [['fetch-model', '--url=https://a/b', '--sha256=abc', '--to=m'], 'It takes 64 hexadecimal digits.'],
    [['fetch-model', '--url=https://a/b', hash], "required option '--to <folder>' not specified"],
    [[...archive, '--max-size=1GB'], 'It takes bytes, or a size such as 512Mi or 4Gi.'],
  ])('%j', async (args, message) => {
    const { asked, text, code } = await read(...args);
    expect(asked).toEqual([]);
    expect(code).toBe(1);
    expect(text).toContain(message);
  });

  test.each(['ftp://a/b', 'https://me:canary@a/b', 'a'])('a URL such as %s, which is not shown', async (url) => {
    const { asked, text, error } = await read('fetch-model', `--url=${url}`, hash, '--to=m');
    expect(asked).toEqual([]);
    expect(error).toBe('--url takes an http:// or https:// URL without user and password.');
    expect(text + error).not.toContain('canary');
    const other = await read('optimize', 'm', '--data=a', `--teacher=${url}`);
    expect([other.asked, other.error]).toEqual([[], error?.replace('--url', '--teacher')]);
  });
});
