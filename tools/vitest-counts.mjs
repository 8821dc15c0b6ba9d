// @ts-check
/** How many tests of a vitest run passed and failed, from its JSON report. */
import { readFileSync } from 'node:fs';

/**
 * A file that could not be loaded has no test but counts as one failure, and so does a run that ended badly without
 * any failed test (an unhandled error, no test file, a crash before the report was written).
 *
 * @param {string} report path of the report; a stale one must have been removed before
 * @param {number | null} code exit code of the run
 */
export function readCounts(report, code) {
  const { numPassedTests: passed, numFailedTests, testResults } = readReport(report);
  const broken = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
  const failed = numFailedTests + broken;
  return { passed, failed: code !== 0 && failed === 0 ? 1 : failed };
}

/**
 * @param {string} report
 * @returns {{
 *   numPassedTests: number,
 *   numFailedTests: number,
 *   testResults: { status: string, assertionResults: unknown[] }[],
 * }}
 */
function readReport(report) {
  try {
    return JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, testResults: [] };
  }
}
