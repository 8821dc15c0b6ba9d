import { type PrivateServer, servePrivately } from '@shoal/telemetry';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
let server: PrivateServer;
beforeEach(async () => {
  api = await startTestApi();
  server = await servePrivately(api.registry, () => true, '127.0.0.1', 0);
});
afterEach(async () => {
  await server.close();
  await api.close();
});

const scrape = async () => (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text();

test('jobs are counted by model and outcome, requests by route', async () => {
  await api.request('POST', '/v1/jobs', { model: 'embed', input: 'small fish' });
  await api.request('POST', '/v1/jobs', { model: 'embed', input: 7 });
  await api.request('POST', '/v1/jobs', { model: 'made-up-by-a-caller', input: 'a' });
  await api.request('GET', '/v1/jobs/made-up-by-a-caller');
  const text = await scrape();
  expect(text).toContain('shoal_request_success_total{model="embed",task="feature-extraction"} 1');
  expect(text).toContain('shoal_request_tokens_total{model="embed"} 2');
  expect(text).toContain('shoal_request_failure_total{model="embed",code="invalid_request"} 1');
  expect(text).toContain('shoal_request_failure_total{model="unknown",code="model_not_found"} 1');
  expect(text).toContain('shoal_http_request_duration_seconds_count{method="GET",route="/v1/jobs/:id",status="404"} 1');
  expect(text).not.toContain('made-up-by-a-caller');
});

test('the public port has no metrics, the private one no jobs', async () => {
  expect((await api.request('GET', '/metrics')).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${server.port}/v1/jobs`)).status).toBe(404);
});
