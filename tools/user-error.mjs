// @ts-check
/** A fault that its reader can mend: shown as one line, without a stack. */
export class UserError extends Error {}

/**
 * Runs a command's main function; a UserError becomes one line on stderr and exit code 1.
 *
 * @param {() => Promise<number>} main resolves to the exit code
 */
export async function runCommand(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(error instanceof UserError ? `shoal: ${error.message}` : error);
    process.exitCode = 1;
  }
}
