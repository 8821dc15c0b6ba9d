import { DEFAULT_SCHEDULE } from '@shoal/webhooks';
import { expect, test } from 'vitest';
import { loadConfig } from './config.js';

const KEY = { SHOAL_SECRET_KEY: '00'.repeat(32) };

test('needs a key and nothing else', () => {
  expect(() => loadConfig({})).toThrow('SHOAL_SECRET_KEY: must be set');
  expect(loadConfig(KEY).SHOAL_WEBHOOK_SCHEDULE).toEqual(DEFAULT_SCHEDULE);
  expect(loadConfig(KEY).SHOAL_WEBHOOK_ALLOW.hasPort(443)).toBe(false);
});

test('a key is never quoted', () => {
  expect(() => loadConfig({ SHOAL_SECRET_KEY: 'canary' })).toThrow(
    /^SHOAL_SECRET_KEY: must be 32 bytes in base64 or hex/,
  );
  expect(() => loadConfig({ SHOAL_SECRET_KEY: 'canary' })).not.toThrow(/canary/);
});

test('a schedule is a list of time spans', () => {
  expect(loadConfig({ ...KEY, SHOAL_WEBHOOK_SCHEDULE: '0,5s,5m' }).SHOAL_WEBHOOK_SCHEDULE).toEqual([0, 5000, 300_000]);
});
