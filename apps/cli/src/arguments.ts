/** The command line of `shoal`: one command and its options, or a UserError in one line. */
import { resolve } from 'node:path';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { ImportRequest } from '@shoal/importer';
import { UserError } from '@shoal/tools/user-error';
import type { FetchRequest } from './fetch-model.js';
import type { RunRequest } from './run-model.js';

export type Command =
  | { readonly name: 'help' | 'version' }
  | { readonly name: 'start'; readonly workers: number }
  | { readonly name: 'fetch-model'; readonly request: FetchRequest }
  /** `to` is undefined where the folder of models is the one that everything else has. */
  | {
      readonly name: 'import';
      readonly request: Omit<ImportRequest, 'to'> & { readonly to: string | undefined };
      readonly report: boolean;
    }
  | { readonly name: 'run'; readonly request: RunRequest };

const COMMON = { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } } as const;
const START = { ...COMMON, workers: { type: 'string', short: 'w' } } as const;
const FETCH_MODEL = {
  ...COMMON,
  url: { type: 'string' },
  sha256: { type: 'string' },
  to: { type: 'string' },
  'max-size': { type: 'string' },
} as const;

/** Here `--version` is the model's. */
const IMPORT = {
  help: COMMON.help,
  name: { type: 'string' },
  version: { type: 'string' },
  dtype: { type: 'string' },
  to: { type: 'string' },
  force: { type: 'boolean' },
  report: { type: 'boolean' },
} as const;

const RUN = {
  ...COMMON,
  prompt: { type: 'string', short: 'p' },
  'max-tokens': { type: 'string' },
  variant: { type: 'string' },
} as const;

const UNITS = { '': 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 } as const;

/** Without a command it is the help. */
export function parse(args: readonly string[]): Command {
  const command = args.find((arg) => !arg.startsWith('-'));
  if (command === 'start') {
    const { workers = '1', ...common } = read(args, START);
    if (!/^[1-9]\d?$/.test(workers)) throw new UserError('--workers takes a number from 1 to 99.');
    return asked(common) ?? { name: 'start', workers: Number(workers) };
  }
  if (command === 'fetch-model') {
    const { url, sha256, to, 'max-size': maxSize = '16Gi', ...common } = read(args, FETCH_MODEL);
    return asked(common) ?? { name: 'fetch-model', request: requestOf({ url, sha256, to, maxSize }) };
  }
  if (command === 'import') {
    const { values, positionals } = parseLine(args, IMPORT);
    if (values.help) return { name: 'help' };
    return { name: 'import', request: importOf(values, positionals.slice(1)), report: values.report ?? false };
  }
  if (command === 'run') {
    const { values, positionals } = parseLine(args, RUN);
    return asked(values) ?? { name: 'run', request: runOf(values, positionals.slice(1)) };
  }
  return asked(read(args, COMMON)) ?? { name: 'help' };
}

function runOf(
  values: Readonly<Partial<Record<'prompt' | 'max-tokens' | 'variant', string>>>,
  models: readonly string[],
): RunRequest {
  const [model, ...more] = models;
  if (model === undefined || more.length > 0) throw new UserError('run takes one model; see "shoal --help".');
  const { prompt, 'max-tokens': maxTokens = '256', variant } = values;
  if (!/^[1-9]\d{0,8}$/.test(maxTokens)) throw new UserError('--max-tokens takes a whole number from 1.');
  return { model, prompt, maxTokens: Number(maxTokens), variant };
}

function importOf(
  values: Readonly<Partial<Record<'name' | 'version' | 'dtype' | 'to', string>>> & { readonly force?: boolean },
  folders: readonly string[],
): Extract<Command, { name: 'import' }>['request'] {
  const [folder, ...more] = folders;
  if (folder === undefined || more.length > 0) throw new UserError('import takes one folder; see "shoal --help".');
  const { name, version = '1', dtype, to, force = false } = values;
  if (!/^[1-9]\d{0,8}$/.test(version)) throw new UserError('--version takes a whole number from 1.');
  const dtypes = dtype?.split(',').map((part) => part.trim()) ?? [];
  if (dtypes.includes('')) throw new UserError('--dtype takes fp32, fp16, int8 or int4, or several: fp32,int8.');
  return {
    folder: resolve(folder),
    ...(name !== undefined && { name }),
    version: Number(version),
    dtypes,
    to: to === undefined ? undefined : resolve(to),
    force,
  };
}

function asked({ help, version }: { readonly help?: boolean; readonly version?: boolean }): Command | undefined {
  if (version) return { name: 'version' };
  return help ? { name: 'help' } : undefined;
}

function requestOf(
  values: Readonly<Record<'url' | 'sha256' | 'to', string | undefined>> & { maxSize: string },
): FetchRequest {
  const { url = '', sha256 = '', to = '', maxSize } = values;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.username !== '' || parsed.password !== '') {
    throw new UserError('--url takes an http:// or https:// URL without user and password.');
  }
  if (!/^[0-9a-f]{64}$/i.test(sha256)) throw new UserError('--sha256 takes 64 hexadecimal digits.');
  if (to === '') throw new UserError('--to takes the folder of the version: models/<name>/<version>.');
  const [, digits = '', unit = ''] = /^([1-9]\d{0,14})(|[KMGT]i)$/.exec(maxSize) ?? [];
  if (digits === '') throw new UserError('--max-size takes bytes, or a size such as 512Mi or 4Gi.');
  const maxBytes = Number(digits) * UNITS[unit as keyof typeof UNITS];
  return { url, sha256: sha256.toLowerCase(), to: resolve(to), maxBytes };
}

function read<Options extends NonNullable<ParseArgsConfig['options']>>(args: readonly string[], options: Options) {
  const { values, positionals } = parseLine(args, options);
  const known = ['start', 'fetch-model', 'help'].includes(positionals[0] ?? 'help');
  if (positionals.length > 1 || !known) {
    throw new UserError(`unknown command "${positionals.join(' ')}"; see "shoal --help".`);
  }
  return values;
}

function parseLine<Options extends NonNullable<ParseArgsConfig['options']>>(args: readonly string[], options: Options) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options });
  } catch (error) {
    // Node's message names the option; what follows its first sentence is about escaping.
    const [fault] = error instanceof Error ? error.message.split(/[.\n]/) : [];
    throw new UserError(`${fault}; see "shoal --help".`);
  }
}
