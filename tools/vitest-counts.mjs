// @ts-check
/** How many tests of a vitest run passed and failed, and which failed, from its JSON report. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { ROOT } from './root.mjs';

/** @typedef {{ passed: number, failed: number, failures: string[] }} Counts `failures` has a line for each that failed */

/**
 * A file that could not be loaded has no test but counts as one failure, and so does a run that ended badly without
 * any failed test (an unhandled error, no test file, a crash before the report was written).
 *
 * @param {string} report path of the report; a stale one must have been removed before
 * @param {number | null} code exit code of the run
 * @returns {Counts}
 */
export function readCounts(report, code) {
  const { numPassedTests: passed, testResults } = readReport(report);
  const failures = testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(ROOT, name);
    if (status === 'failed' && assertionResults.length === 0) return [`${file}: ${firstLine(message)}`];
    return assertionResults
      .filter((test) => test.status === 'failed')
      .map((test) => `${file} > ${test.fullName}: ${firstLine(test.failureMessages[0])}`);
  });
  if (code !== 0 && failures.length === 0)
    failures.push(`the run ended with ${code ?? 'a signal'}, and no test failed`);
  return { passed, failed: failures.length, failures };
}

/** @param {string | undefined} message */
function firstLine(message) {
  return stripVTControlCharacters(message ?? '').split('\n', 1)[0] ?? '';
}

/**
 * @param {string} report
 * @returns {{
 *   numPassedTests: number,
 *   testResults: {
 *     name: string,
 *     status: string,
 *     message: string,
 *     assertionResults: { status: string, fullName: string, failureMessages: string[] }[],
 *   }[],
 * }}
 */
function readReport(report) {
  try {
    return JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return { numPassedTests: 0, testResults: [] };
  }
}
