import { Registry } from 'prom-client';
import { expect, onTestFinished, test } from 'vitest';
import { type PrivateRoute, servePrivately } from './private-server.js';

async function serve(ready: Parameters<typeof servePrivately>[1], route?: PrivateRoute) {
  const server = await servePrivately(new Registry(), ready, '127.0.0.1', 0, route);
  onTestFinished(() => server.close());
  return async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return [response.status, await response.text()];
  };
}

test('the process is alive whether or not it is ready', async () => {
  let ready = false;
  const ask = await serve(async () => ready);
  expect(await ask('/healthz')).toEqual([200, 'ok\n']);
  expect(await ask('/readyz')).toEqual([503, 'not ready\n']);
  ready = true;
  expect(await ask('/readyz?verbose')).toEqual([200, 'ready\n']);
});

test('readiness tells what is amiss beside, a line each', async () => {
  const ask = await serve(() => ({ ready: true, notes: ['a/1/fp32 is not served: it does not load'] }));
  expect(await ask('/readyz')).toEqual([200, 'ready\na/1/fp32 is not served: it does not load\n']);
});

test('there is nothing but its paths and those of its route, and nothing but GET', async () => {
  const ask = await serve(
    () => true,
    (path) => (path === '/own' ? Promise.resolve({ status: 200, text: 'mine' }) : undefined),
  );
  expect(await ask('/own')).toEqual([200, 'mine']);
  expect((await ask('/metrics'))[0]).toBe(200);
  expect((await ask('/v1/jobs'))[0]).toBe(404);
  expect((await ask('/own', 'POST'))[0]).toBe(405);
});

test('an answer that fails is 500, and the port goes on', async () => {
  const ask = await serve(
    () => Promise.reject(new Error('canary')),
    () => Promise.reject(new Error('canary')),
  );
  expect(await ask('/readyz')).toEqual([500, 'the answer could not be made\n']);
  expect(await ask('/own')).toEqual([500, 'the answer could not be made\n']);
  expect((await ask('/healthz'))[0]).toBe(200);
});

test('a port that is taken is an error', async () => {
  const server = await servePrivately(new Registry(), () => true, '127.0.0.1', 0);
  onTestFinished(() => server.close());
  await expect(servePrivately(new Registry(), () => true, '127.0.0.1', server.port)).rejects.toThrow('EADDRINUSE');
});
