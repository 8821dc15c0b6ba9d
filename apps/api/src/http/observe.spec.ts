import { expect, test } from 'vitest';
import { startTestApi } from '../testing/start.js';

const LINES = ['debug', 'info'] as const;

test.each(LINES)('a line per request at level debug, none at info: this is %s', async (logLevel) => {
  const api = await startTestApi({ logLevel });
  await api.request('GET', '/v1/jobs/no-job?wait=secret');
  await api.request('GET', '/v1/models');
  await api.close();
  const lines = api.logged.map((line) => JSON.parse(line) as Record<string, unknown>);
  const requests = lines.filter(({ event }) => event === 'request.done');
  expect(requests.map(({ route, status, job }) => [route, status, job])).toEqual(
    logLevel === 'info'
      ? []
      : [
          ['/v1/jobs/:id', 422, undefined],
          ['/v1/models', 200, undefined],
        ],
  );
  expect(api.logged.join()).not.toMatch(/secret|no-job/);
});
