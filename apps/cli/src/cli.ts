/** From the command line to one command; every fault becomes one line on stderr. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ConfigError } from '@shoal/config';
import { UserError } from '@shoal/tools/user-error';
import { loadConfig } from './config.js';
import { HELP } from './help.js';
import { start } from './start.js';

/** Runs `shoal <args>` and resolves to the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    const { command, workers, help, version } = parse(args);
    if (version) console.log(readVersion());
    else if (help) console.log(HELP);
    else if (command === 'start') return await start(loadConfig(), { workers });
    return 0;
  } catch (error) {
    console.error(`shoal: ${describe(error)}`);
    return 1;
  }
}

interface Arguments {
  readonly command: string | undefined;
  readonly workers: number;
  readonly help: boolean;
  readonly version: boolean;
}

/** Without a command the help is shown. */
export function parse(args: readonly string[]): Arguments {
  const { values, positionals } = parseLine(args);
  const [command, ...rest] = positionals;
  if ((command !== undefined && command !== 'start' && command !== 'help') || rest.length > 0) {
    throw new UserError(`unknown command "${positionals.join(' ')}"; see "shoal --help".`);
  }
  const workers = values.workers ?? '1';
  if (!/^[1-9]\d?$/.test(workers)) throw new UserError('--workers takes a number from 1 to 99.');
  const help = values.help === true || command === undefined || command === 'help';
  return { command, workers: Number(workers), help, version: values.version === true };
}

function parseLine(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        workers: { type: 'string', short: 'w' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    });
  } catch (error) {
    // Node's message names the option; what follows its first sentence is about escaping.
    const [fault] = error instanceof Error ? error.message.split(/[.\n]/) : [];
    throw new UserError(`${fault}; see "shoal --help".`);
  }
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return (manifest as { version: string }).version;
}

function describe(error: unknown): string {
  if (error instanceof UserError) return error.message;
  if (error instanceof ConfigError) return error.message.replaceAll('\n', '; ');
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
