// @ts-check
/** The counts of several checks as one, and their last lines: what failed, then `N passed, N failed`. */

/** @typedef {import('./vitest-counts.mjs').Counts} Counts */

export class Tally {
  /** @type {Counts} */
  #total = { passed: 0, failed: 0, failures: [] };

  /** @param {Counts} counts */
  add({ passed, failed, failures }) {
    this.#total.passed += passed;
    this.#total.failed += failed;
    this.#total.failures.push(...failures);
  }

  /** Prints the last lines. @returns the exit code: 1 where something failed */
  print() {
    const { passed, failed, failures } = this.#total;
    console.log();
    // The form is what `.ci/run` looks for, to say it again after all that comes later.
    for (const failure of failures) console.log(`failed: ${failure}`);
    console.log(`${passed} passed, ${failed} failed`);
    return failed === 0 ? 0 : 1;
  }
}
