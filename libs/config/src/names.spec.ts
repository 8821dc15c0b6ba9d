import { expect, test } from 'vitest';
import { z } from 'zod';
import { unknownSecrets, unknownVariables } from './names.js';
import { readConfig } from './read-config.js';
import { text } from './variables.js';

const told = (name: string, value = 'x') => unknownVariables({ [name]: value })[0]?.message;

test.each([
  ['SHOAL_MODEL_DIR', 'SHOAL_MODELS_DIR'],
  ['SHOAL_METRIC_PORT', 'SHOAL_METRICS_PORT'],
  ['SHOAL_REDIS_URL', 'REDIS_URL'],
  ['shoal_log_level', 'SHOAL_LOG_LEVEL'],
  ['SHOAL_LOGLEVEL', 'SHOAL_LOG_LEVEL'],
])('%s is told, with %s as the nearest', (name, near) => {
  expect(told(name)).toMatch(new RegExp(`did you mean (.* or )?${near}( or .*)?\\?`));
});

test.each([
  'SHOAL_API_KEYS',
  'SHOAL_API_KEYS_FILE',
  'SHOAL_REDIS_PASSWORD',
  'SHOAL_TEST_REDIS_IMAGE',
  'SHOAL_GRAFANA_PORT',
  'SHOAL_PROMETHEUS_PORT',
  'SHOAL_API_SERVICE_HOST',
  'SHOAL_API_PORT_8080_TCP_ADDR',
  'OTHER_SHOAL_VARIABLE',
])('%s is not', (name) => {
  expect(told(name)).toBeUndefined();
});

test("docker compose's port is told with the name that it has for a process", () => {
  expect(told('SHOAL_PORT', '8081')).toBe("is docker compose's; here it is PORT");
});

test('what Kubernetes sets for a Service called shoal is not', () => {
  expect(told('SHOAL_PORT', 'tcp://10.0.0.1:8080')).toBeUndefined();
});

test('one that is empty counts as unset', () => {
  expect(told('SHOAL_NONSENSE', '')).toBeUndefined();
  expect(told('SHOAL_NONSENSE')).toBe('is not a variable of Shoal');
});

test.each([
  'SHOAL_API_KEY',
  'SHOAL_KEYS',
  'shoal_api_keys',
  'SHOAL_AUTOSCALE_TOKENS',
  'SHOAL_SECRET',
  'SHOAL_PASSWORD',
])('%s, which looks like a secret, is an error that does not show it', (name) => {
  expect(unknownSecrets({ [name]: 'canary' })).toHaveLength(1);
  const read = () => readConfig(z.object({ PLACE: text().optional() }), { [name]: 'canary' });
  expect(read).toThrow(new RegExp(`^${name}: is not a variable of Shoal`));
  expect(read).not.toThrow(/canary/);
});
