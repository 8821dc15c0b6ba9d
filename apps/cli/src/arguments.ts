/** The command line of `shoal`: one command and its options, or a UserError in one line. */
import { resolve } from 'node:path';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UserError } from '@shoal/tools/user-error';
import type { FetchRequest } from './fetch-model.js';

export type Command =
  | { readonly name: 'help' | 'version' }
  | { readonly name: 'start'; readonly workers: number }
  | { readonly name: 'fetch-model'; readonly request: FetchRequest };

const COMMON = { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } } as const;
const START = { ...COMMON, workers: { type: 'string', short: 'w' } } as const;
const FETCH_MODEL = {
  ...COMMON,
  url: { type: 'string' },
  sha256: { type: 'string' },
  to: { type: 'string' },
  'max-size': { type: 'string' },
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
  return asked(read(args, COMMON)) ?? { name: 'help' };
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
