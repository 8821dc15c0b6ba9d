/** Runs one command; every fault becomes one line on stderr. */
import { readFileSync } from 'node:fs';
import { ConfigError } from '@shoal/config';
import { UserError } from '@shoal/tools/user-error';
import { parse } from './arguments.js';
import { loadConfig } from './config.js';
import { fetchModel } from './fetch-model.js';
import { HELP } from './help.js';
import { start } from './start.js';

/** Runs `shoal <args>` and resolves to the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    const command = parse(args);
    switch (command.name) {
      case 'start':
        return await start(loadConfig(), command);
      case 'fetch-model':
        // As the first process of a container it would not hear of it otherwise. What it has is completed the next time.
        process.once('SIGTERM', () => process.exit(1));
        await fetchModel(command.request);
        return 0;
      case 'import': {
        // Loaded for this alone: everything else starts without the importer and ONNX Runtime.
        const { importModel } = await import('./import-model.js');
        const to = command.request.to ?? loadConfig().SHOAL_MODELS_DIR;
        await importModel({ ...command.request, to }, command.report);
        return 0;
      }
      case 'run': {
        const { runModel } = await import('./run-model.js');
        await runModel(command.request, loadConfig().SHOAL_MODELS_DIR);
        return 0;
      }
      case 'version':
        console.log(readVersion());
        return 0;
      case 'help':
        console.log(HELP);
        return 0;
    }
  } catch (error) {
    console.error(`shoal: ${describe(error)}`);
    return 1;
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
