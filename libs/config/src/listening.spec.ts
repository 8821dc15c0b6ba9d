import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { blamePort, httpOrigin } from './listening.js';

test('an IPv6 address has brackets in a URL', () => {
  expect(httpOrigin('127.0.0.1', 80)).toBe('http://127.0.0.1:80');
  expect(new URL(httpOrigin('::1', 8080)).host).toBe('[::1]:8080');
});

test('a port that is taken is told by its variable, and what would do', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as { port: number };
  const second = createServer().listen(port, '127.0.0.1');
  const failed = once(second, 'listening').catch(blamePort('SHOAL_METRICS_PORT', '127.0.0.1', port));
  await expect(failed).rejects.toThrow(`SHOAL_METRICS_PORT: port ${port} of 127.0.0.1 is taken; set another one, or 0`);
  holder.close();
});

test('any other error stays what it is', () => {
  const error = new Error('odd');
  expect(() => blamePort('PORT', '127.0.0.1', 1)(error)).toThrow(error);
});
