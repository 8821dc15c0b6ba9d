import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { readConfig } from './read-config.js';
import { storeSettings, storeVariables } from './store.js';

const schema = z.object(storeVariables);
const read = (env: Record<string, string>) => storeSettings(readConfig(schema, env));

test('files are in a folder of this machine where nothing is said', () => {
  const { url, s3 } = read({});
  expect(fileURLToPath(url ?? '')).toBe(resolve('.shoal/files'));
  expect(s3).toEqual({ endpoint: undefined, region: undefined });
});

test.each([
  'file:///var/lib/shoal',
  'file:///a%20b/100%25/',
  's3://bucket',
  's3://bucket/',
  's3://my.bucket-1/a/b_c.d/',
])('%s is taken', (url) => {
  expect(read({ SHOAL_STORE: url }).url).toBe(url);
});

test('none is no store', () => {
  expect(read({ SHOAL_STORE: 'none' }).url).toBeNull();
});

test('another S3 and its region are called as the tools of AWS call them', () => {
  const env = { SHOAL_STORE: 's3://bucket', AWS_ENDPOINT_URL: 'http://a', AWS_DEFAULT_REGION: 'one' };
  expect(read(env).s3).toEqual({ endpoint: 'http://a', region: 'one' });
  const exact = { ...env, AWS_ENDPOINT_URL_S3: 'https://b:9000', AWS_REGION: 'two' };
  expect(read(exact).s3).toEqual({ endpoint: 'https://b:9000', region: 'two' });
});

test.each<[string, RegExp]>([
  ['canary', /^SHOAL_STORE: must be file:\/\/\/folder, s3:\/\/bucket\/prefix, or none$/],
  ['/canary', /must be file:\/\/\/folder/],
  ['http://canary/b', /must be file:\/\/\/folder/],
  ['file://canary/b', /must be file:\/\/\/ and a path from the root/],
  ['file:canary', /must be file:\/\/\/ and a path from the root/],
  ['file:///', /must be file:\/\/\/ and a path from the root/],
  ['file:///canary?b', /must have \?, # and spaces percent-encoded/],
  ['file:///canary b', /must have \?, # and spaces percent-encoded/],
  ['file:///canary/100%', /has a % that is no percent-encoding/],
  ['file:///canary%2Fb', /has a % that is no percent-encoding/],
  ['s3://AKIA:canary@bucket/b', /must have no credentials: set AWS_ACCESS_KEY_ID/],
  ['s3://Canary', /must name a bucket/],
  ['s3:///canary', /must name a bucket/],
  ['s3://bucket/canary/../b', /must have a prefix of letters/],
  ['s3://bucket//canary', /must have a prefix of letters/],
  ['s3://bucket/canary b', /must have a prefix of letters/],
  [`s3://bucket/${'canary/'.repeat(80)}`, /must have a prefix of letters/],
])('%s is refused with what to write, and not shown', (url, message) => {
  expect(() => read({ SHOAL_STORE: url })).toThrow(message);
  expect(() => read({ SHOAL_STORE: url })).not.toThrow(/canary/i);
});
