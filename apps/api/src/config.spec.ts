import { describe, expect, test } from 'vitest';
import { loadConfig } from './config.js';
import { authenticate, digestOf } from './http/tenant.js';

describe('the config', () => {
  test('has defaults that serve this machine only', () => {
    expect(loadConfig({})).toMatchObject({ PORT: 8080, SHOAL_HOST: '127.0.0.1', SHOAL_METRICS_HOST: '127.0.0.1' });
  });

  test('refuses other addresses as long as there are no keys', () => {
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'shoal.example', '127.0.0.1.example']) {
      expect(() => loadConfig({ SHOAL_HOST: host }), host).toThrow(/^SHOAL_HOST: .*$/);
      expect(loadConfig({ SHOAL_HOST: host, SHOAL_API_KEYS: 'acme:secret' }).SHOAL_HOST).toBe(host);
    }
    for (const host of ['localhost', '127.0.0.2', '::1'])
      expect(loadConfig({ SHOAL_HOST: host }).SHOAL_HOST).toBe(host);
  });

  test('reads keys with tenants and weights, and keeps only their hashes', () => {
    const { SHOAL_API_KEYS: keys } = loadConfig({ SHOAL_API_KEYS: 'acme:one:2.5, acme:two\n# comment\nzeta:three' });
    expect(authenticate(keys, 'Bearer one')).toEqual({ name: 'acme', weight: 2.5 });
    expect(authenticate(keys, 'bearer two')).toEqual({ name: 'acme', weight: 1 });
    expect(authenticate(keys, 'Bearer three').name).toBe('zeta');
    expect(JSON.stringify(keys)).not.toMatch(/one|two|three/);
  });

  test('keeps the token of the autoscaling number as its hash, and refuses one that no header can carry', () => {
    const { SHOAL_AUTOSCALE_TOKEN: digest } = loadConfig({ SHOAL_AUTOSCALE_TOKEN: 'sesame' });
    expect(digest).toEqual(digestOf('sesame'));
    expect(loadConfig({}).SHOAL_AUTOSCALE_TOKEN).toBeUndefined();
    expect(() => loadConfig({ SHOAL_AUTOSCALE_TOKEN: 'canary canary' })).toThrow(
      /^SHOAL_AUTOSCALE_TOKEN: must be one word/,
    );
  });

  test('takes a delay objective of a second or more', () => {
    expect(loadConfig({}).SHOAL_DELAY_OBJECTIVE).toBe(30_000);
    expect(loadConfig({ SHOAL_DELAY_OBJECTIVE: '2m' }).SHOAL_DELAY_OBJECTIVE).toBe(120_000);
    expect(loadConfig({}).SHOAL_ACCURACY_UNDER_LOAD).toBe(false);
    expect(loadConfig({ SHOAL_ACCURACY_UNDER_LOAD: 'true' }).SHOAL_ACCURACY_UNDER_LOAD).toBe(true);
    expect(() => loadConfig({ SHOAL_DELAY_OBJECTIVE: '0' })).toThrow(/^SHOAL_DELAY_OBJECTIVE: must be a time span/);
  });

  test('refuses keys that are not understood, without showing them', () => {
    const wrong = [
      'canary',
      'acme:',
      ':canary',
      'Acme:canary',
      'acme:canary:0',
      'acme:canary:x',
      'acme:canary:1:1',
      '#',
    ];
    for (const value of [...wrong, 'acme:canary,zeta:canary']) {
      expect(() => loadConfig({ SHOAL_API_KEYS: value }), value).toThrow(/^SHOAL_API_KEYS: /);
      expect(() => loadConfig({ SHOAL_API_KEYS: value }), value).not.toThrow(/canary/);
    }
  });

  test('takes origins as browsers send them, or all, and a limit of bodies', () => {
    expect(loadConfig({})).toMatchObject({ SHOAL_CORS_ORIGINS: [], SHOAL_MAX_BODY_BYTES: 2 * 1024 * 1024 });
    const SHOAL_CORS_ORIGINS = 'https://app.example.com, http://localhost:3000';
    expect(loadConfig({ SHOAL_CORS_ORIGINS }).SHOAL_CORS_ORIGINS).toHaveLength(2);
    expect(loadConfig({ SHOAL_CORS_ORIGINS: '*' }).SHOAL_CORS_ORIGINS).toEqual(['*']);
    for (const origin of ['app.example.com', 'https://app.example.com/', 'https://a/b', 'ftp://a', 'https://a:443']) {
      expect(() => loadConfig({ SHOAL_CORS_ORIGINS: origin }), origin).toThrow(/^SHOAL_CORS_ORIGINS: must be/);
    }
    expect(() => loadConfig({ SHOAL_MAX_BODY_BYTES: '1000' })).toThrow(/^SHOAL_MAX_BODY_BYTES: /);
  });
});
