/** The list of variables is what the processes read: nothing that is read is called unknown, and nothing else is called known. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unknownVariables, VARIABLES } from '@shoal/config';
import { expect, test } from 'vitest';
import { ROOT } from '../support/processes.js';

const CONFIGS = ['api', 'worker', 'webhooks', 'cli'].map((app) => `apps/${app}/src/config.ts`);
const OTHERS = ['docker-compose.yml', 'Dockerfile', 'docker/healthcheck.mjs', 'k8s/base/kustomization.yaml'];

const namesIn = (paths: readonly string[], pattern: RegExp) =>
  new Set(paths.flatMap((path) => readFileSync(join(ROOT, path), 'utf8').match(pattern) ?? []));

test('every variable of a config is in the list, and the list has no other', () => {
  const read = namesIn([...CONFIGS, 'libs/config/src/redis.ts'], /^ {2}(SHOAL_\w+|PORT|REDIS_URL)(?=:)/gm);
  expect([...read].map((name) => name.trim()).sort()).toEqual([...VARIABLES].sort());
});

test('what containers are given is known to the processes in them', () => {
  const given = namesIn(OTHERS, /(?<![{\w$])SHOAL_\w+(?=[:=])/g);
  expect(given.size).toBeGreaterThan(10);
  expect(unknownVariables(Object.fromEntries([...given].map((name) => [name, 'x'])))).toEqual([]);
});
