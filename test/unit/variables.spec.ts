/** The list of variables and docs/configuration.md are what the processes read: nothing that is read is called unknown or left out, and nothing else is there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unknownVariables, VARIABLES } from '@shoal/config';
import { expect, test } from 'vitest';
import { ROOT } from '../support/processes.js';

/** As the page calls it → the app. */
const PROCESSES = { api: 'api', worker: 'worker', webhooks: 'webhooks', start: 'cli' };
const configOf = (app: string) => `apps/${app}/src/config.ts`;
const REDIS = 'libs/config/src/redis.ts';
/** Of the processes that have to do with files. */
const STORE = 'libs/config/src/store.ts';
const VARIABLE = /^ {2}(SHOAL_\w+|PORT|REDIS_URL)(?=:)/gm;
const OTHERS = ['docker-compose.yml', 'Dockerfile', 'docker/healthcheck.mjs', 'k8s/base/kustomization.yaml'];

/** Where an app's variables are written. */
const schemasOf = (app: string) => {
  const hasFiles = readFileSync(join(ROOT, configOf(app)), 'utf8').includes('...storeVariables');
  return [configOf(app), REDIS, ...(hasFiles ? [STORE] : [])];
};

const namesIn = (paths: readonly string[], pattern: RegExp) =>
  new Set(paths.flatMap((path) => readFileSync(join(ROOT, path), 'utf8').match(pattern) ?? []));

test('every variable of a config is in the list, and the list has no other', () => {
  const read = namesIn(Object.values(PROCESSES).flatMap(schemasOf), VARIABLE);
  expect([...read].map((name) => name.trim()).sort()).toEqual([...VARIABLES].sort());
});

test('docs/configuration.md has every variable, what it is, its default and who reads it', () => {
  const page = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` +\|(.+)\|(.+)\| ([\w, ]+?) +\|$/gm)];
  const readers = Object.entries(PROCESSES).map(
    ([process, app]) => [process, [...namesIn(schemasOf(app), VARIABLE)].map((name) => name.trim())] as const,
  );
  const documented = rows.map(([, name, what, fallback, by]) => {
    expect([what?.trim(), fallback?.trim()], name).not.toContain('');
    return [name, by === 'all' ? Object.keys(PROCESSES).join(', ') : by];
  });
  const expected = VARIABLES.map((name) => {
    const by = readers.filter(([, names]) => names.includes(name)).map(([process]) => process);
    return [name, by.join(', ')];
  });
  expect(documented.sort()).toEqual(expected.sort());
});

test('what containers are given is known to the processes in them', () => {
  const given = namesIn(OTHERS, /(?<![{\w$])SHOAL_\w+(?=[:=])/g);
  expect(given.size).toBeGreaterThan(10);
  expect(unknownVariables(Object.fromEntries([...given].map((name) => [name, 'x'])))).toEqual([]);
});
