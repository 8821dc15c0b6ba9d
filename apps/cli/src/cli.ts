/** Runs one command; every fault becomes one line on stderr. */
import { readFileSync } from 'node:fs';
import { ConfigError } from '@shoal/config';
import { UserError } from '@shoal/tools/user-error';
import { CommanderError } from 'commander';
import { cacheDirOf, loadConfig, loadSourceSettings, optimizedDirOf, pulledDirOf } from './config.js';
import { manageModels } from './models.js';
import { printable } from './printable.js';
import { type Actions, createProgram, runProgram } from './program.js';
import { Refused } from './refused.js';
import { runAgain, withPool } from './run-again.js';
import { Interrupted } from './signals.js';
import { start } from './start.js';

const ACTIONS: Actions = {
  async start(options) {
    await start(loadConfig(), options);
  },
  async fetchModel(request) {
    // As the first process of a container it would not hear of it otherwise. What it has is completed the next time.
    process.once('SIGTERM', () => process.exit(1));
    const [{ fetchModel }, { PATIENCE }] = await Promise.all([import('./fetch-model.js'), import('@shoal/sources')]);
    const { allow } = loadSourceSettings();
    const say = (line: string) => console.log(line);
    await fetchModel(request, { allow, say, signal: new AbortController().signal, patience: PATIENCE });
  },
  async importModel({ name, ...request }) {
    // Loaded for this alone: everything else starts without the importer and ONNX Runtime.
    const { importModel } = await import('./import-model.js');
    const config = loadConfig();
    const to = request.to ?? config.SHOAL_MODELS_DIR;
    const place = { cacheDir: cacheDirOf(config), pulledDir: pulledDirOf(config) };
    await importModel({ ...request, to, ...(name !== undefined && { name }) }, loadSourceSettings(), place);
  },
  async pullModel(request) {
    const { pullModel } = await import('./pull-model.js');
    await pullModel({ ...request, downloads: pulledDirOf(loadConfig()), pickOnnx: undefined }, loadSourceSettings());
  },
  async runModel(request) {
    const { runModel } = await import('./run-model.js');
    await runModel(request, loadConfig().SHOAL_MODELS_DIR);
  },
  async evaluateModel(request) {
    const { evaluateModel } = await import('./evaluate-model.js');
    await evaluateModel(request, loadConfig().SHOAL_MODELS_DIR);
  },
  async optimizeModel(request) {
    const { optimizeModel } = await import('./optimize-model.js');
    const config = loadConfig();
    const place = { models: config.SHOAL_MODELS_DIR, to: optimizedDirOf(config) };
    await optimizeModel(request, { ...place, teacherKey: config.SHOAL_TEACHER_KEY });
  },
  async predict(request) {
    const { predict } = await import('./predict.js');
    await predict(request, loadConfig());
  },
  async manageJobs(request) {
    const { manageJobs } = await import('./jobs.js');
    await manageJobs(request, loadConfig());
  },
  manageModels: (request) => manageModels(request, loadConfig()),
  async tuneModel(request) {
    const config = loadConfig();
    // Each forward pass takes a thread of libuv's pool, whose size this process can no longer choose.
    if (config.UV_THREADPOOL_SIZE === undefined) return await runAgain(withPool(config));
    const { tuneModel } = await import('./tune-model.js');
    const passes = Math.max(1, config.UV_THREADPOOL_SIZE - 1);
    await tuneModel(request, { modelsDir: config.SHOAL_MODELS_DIR, cacheDir: cacheDirOf(config), passes });
  },
};

/** As a shell tells it of a process that writes to a pipe nobody reads from any more: 128 + SIGPIPE. */
const PIPE_CLOSED = 141;

/** What the operating system refuses for a path that was given: its words say which and why. */
const REFUSED: ReadonlySet<unknown> = new Set(['EACCES', 'EEXIST', 'EISDIR', 'ENOSPC', 'ENOTDIR', 'EPERM', 'EROFS']);

/** Runs `shoal <args>` and resolves to the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(PIPE_CLOSED);
      throw error;
    });
  }
  try {
    await runProgram(createProgram(readVersion(), ACTIONS), args.length === 0 ? ['--help'] : args);
    return 0;
  } catch (error) {
    // Commander has said it, in its own words.
    if (error instanceof CommanderError) return error.exitCode;
    // It may hold what a server or a file says.
    console.error(`shoal: ${printable(describe(error))}`);
    return error instanceof Interrupted || error instanceof Refused ? error.exitCode : 1;
  }
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return (manifest as { version: string }).version;
}

function describe(error: unknown): string {
  if (error instanceof UserError) return error.message;
  if (error instanceof ConfigError) return error.message.replaceAll('\n', '; ');
  if (error instanceof Error && 'path' in error && 'code' in error && REFUSED.has(error.code)) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
