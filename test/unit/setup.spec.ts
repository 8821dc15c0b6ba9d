/** What `npm start` and `npm test` do before anything else. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '@shoal/tools/root';
import { checkNode, isInstalled } from '@shoal/tools/setup';
import { readCounts } from '@shoal/tools/vitest-counts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-setup-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('Node is 20.19 or newer', () => {
  for (const version of ['20.19.0', '20.20.2', '22.0.0', '24.1.0']) expect(() => checkNode(version)).not.toThrow();
  expect(() => checkNode('20.18.3')).toThrow('Node 20.19 or newer is needed; this is 20.18.3.');
  expect(() => checkNode('18.20.0')).toThrow('18.20.0');
});

describe('isInstalled', () => {
  const LOCKED = {
    '': { name: 'shoal' },
    'libs/config': { version: '0.1.0' },
    'node_modules/@shoal/config': { link: true },
    'node_modules/zod': { version: '4.0.0' },
    'node_modules/binary-for-another-platform': { version: '1.0.0', optional: true },
  };

  function lay(locked: object, installed?: object): boolean {
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ packages: locked }));
    if (installed !== undefined) {
      mkdirSync(join(folder, 'node_modules'), { recursive: true });
      writeFileSync(join(folder, 'node_modules/.package-lock.json'), JSON.stringify({ packages: installed }));
    }
    return isInstalled(folder);
  }

  const INSTALLED = { 'node_modules/@shoal/config': { link: true }, 'node_modules/zod': { version: '4.0.0' } };

  test('is true where node_modules holds what the lock asks for, for this platform', () => {
    expect(lay(LOCKED, INSTALLED)).toBe(true);
  });

  test.each([
    ['nothing was installed', undefined],
    ['a package is missing', { 'node_modules/@shoal/config': { link: true } }],
    ['a package has another version', { ...INSTALLED, 'node_modules/zod': { version: '4.0.1' } }],
    ['a workspace is new', { 'node_modules/zod': { version: '4.0.0' } }],
  ])('is false where %s', (_, installed) => {
    expect(lay(LOCKED, installed)).toBe(false);
  });
});

describe('the counts of a test run', () => {
  function report(numPassedTests: number, testResults: object[] = []) {
    const file = join(folder, 'report.json');
    writeFileSync(file, JSON.stringify({ numPassedTests, testResults }));
    return file;
  }

  test('are those of its report, with a line for each test that failed', () => {
    const assertionResults = [
      { status: 'passed', fullName: 'a queue holds', failureMessages: [] },
      {
        status: 'failed',
        fullName: 'a queue ends',
        failureMessages: ['\u001b[31mError: 1 is not 2\u001b[39m\n    at here'],
      },
    ];
    expect(
      readCounts(report(3, [{ name: join(ROOT, 'test/a.spec.ts'), status: 'failed', assertionResults }]), 1),
    ).toEqual({
      passed: 3,
      failed: 1,
      failures: ['test/a.spec.ts > a queue ends: Error: 1 is not 2'],
    });
  });

  test('count a file that could not be loaded as one failure', () => {
    const file = {
      name: join(ROOT, 'test/a.spec.ts'),
      status: 'failed',
      message: 'no such module\n',
      assertionResults: [],
    };
    expect(readCounts(report(3, [file]), 1)).toEqual({
      passed: 3,
      failed: 1,
      failures: ['test/a.spec.ts: no such module'],
    });
  });

  test('have a failure wherever the run ended badly', () => {
    expect(readCounts(report(3), 1)).toMatchObject({ passed: 3, failed: 1 });
    expect(readCounts(join(folder, 'never-written.json'), null)).toMatchObject({ passed: 0, failed: 1 });
  });
});
