// @ts-check
/** The command lines of the npm scripts: read before anything is installed, built or run. */
import { parseArgs } from 'node:util';
import { UserError } from './user-error.mjs';

/** @typedef {import('node:util').ParseArgsConfig} Config */

/**
 * Reads what stands behind `--`. Null once the help was asked for and printed.
 *
 * @template {Config} C
 * @param {string} help
 * @param {C} config `--help` comes beside its options
 * @returns {ReturnType<typeof parseArgs<C>> | null}
 */
export function readArguments(help, config) {
  const options = { ...config.options, help: { type: /** @type {const} */ ('boolean'), short: 'h' } };
  try {
    const read = parseArgs({ ...config, options });
    if (!('help' in read.values)) return /** @type {ReturnType<typeof parseArgs<C>>} */ (read);
  } catch (error) {
    throw new UserError(`${error instanceof Error ? error.message.split(/[.\n]/)[0] : error}; see --help.`);
  }
  console.log(help);
  return null;
}
