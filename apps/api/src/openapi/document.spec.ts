import { ERRORS } from '@shoal/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../testing/start.js';

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, { responses: object; requestBody?: { content: Content } }>>;
  readonly components: { readonly schemas: Record<string, unknown> };
}
type Content = Record<string, { readonly examples: Record<string, { readonly value: unknown }> }>;

/** Errors of no path in particular, and errors that stand inside jobs. */
const OUTSIDE_PATHS = new Set<string>([
  ...['not_found', 'method_not_allowed', 'foreign_host', 'token_not_set', 'unauthorized', 'internal_error'],
  ...['worker_crashed', 'device_failed', 'device_unavailable', 'model_invalid', 'cancelled', 'expired'],
]);

let api: TestApi;
let document: Document;
beforeAll(async () => {
  api = await startTestApi();
  document = (await (await api.request('GET', '/openapi.json')).json()) as Document;
});
afterAll(() => api.close());

describe('the OpenAPI document', () => {
  test('has every route of the server with its methods, and no other', () => {
    const tree: string = api.app.getHttpAdapter().getInstance().printRoutes({ commonPrefix: false });
    const documented = Object.entries(document.paths).map(([path, methods]) => [path, Object.keys(methods).sort()]);
    expect(Object.fromEntries(documented)).toEqual(routesIn(tree));
  });

  test('refers to schemas that are there', () => {
    const refs = JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g);
    const names = new Set([...refs].map(([, name]) => name));
    expect(names.size).toBeGreaterThan(10);
    for (const name of names) expect(document.components.schemas).toHaveProperty(String(name));
  });

  test('has examples that run', async () => {
    let ran = 0;
    const made = await api.request('POST', '/v1/webhook-endpoints', { url: 'https://example.com/' });
    const { id } = (await made.json()) as { id: string };
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, { requestBody }] of Object.entries(methods)) {
        for (const { value } of Object.values(requestBody?.content['application/json']?.examples ?? {})) {
          const response = await api.request(method.toUpperCase(), path.replace('{id}', id), value);
          expect(response.ok, `${method} ${path} ${JSON.stringify(value)}`).toBe(true);
          ran += 1;
        }
      }
    }
    expect(ran).toBe(10);
  });

  test('names every error that a request can be answered with', () => {
    const paths = JSON.stringify(document.paths);
    for (const code of Object.keys(ERRORS)) {
      if (!OUTSIDE_PATHS.has(code)) expect(paths, code).toContain(`\`${code}\``);
    }
  });
});

test('the page loads nothing from outside', async () => {
  const page = await (await api.request('GET', '/docs')).text();
  const sources = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => String(source));
  expect(sources.length).toBeGreaterThan(2);
  for (const source of sources) {
    expect(source).toMatch(/^\.\//);
    const response = await fetch(new URL(source, `${api.url}/`));
    expect(response.status, source).toBe(200);
    await response.arrayBuffer();
  }
});

/** Fastify prints `├── /v1/jobs (POST, GET, HEAD)` and below it `│   └── /:id (GET)`. */
function routesIn(tree: string): Record<string, string[]> {
  const routes: Record<string, string[]> = {};
  const path: string[] = [];
  for (const line of tree.split('\n')) {
    const [, indent = '', segment = '', methods = ''] = /^([│ ]*)[├└]── (\S+) \((.*)\)/.exec(line) ?? [];
    const depth = indent.length / 4;
    path.splice(depth, path.length, segment);
    const names = methods
      .toLowerCase()
      .split(', ')
      .filter((method) => method !== 'head');
    const route = path.join('').replaceAll(/:(\w+)/g, '{$1}');
    if (/^\/(v1|healthz|readyz)/.test(route)) routes[route] = names.sort();
  }
  return routes;
}
