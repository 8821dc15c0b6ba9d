import { ERRORS } from '@shoal/contracts';
import { fakeFace } from '@shoal/intake/testing';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { digestOf } from '../http/tenant.js';
import { fakeGenerator } from '../testing/fake-generator.js';
import { startTestApi, type TestApi } from '../testing/start.js';
import { ANSWERS } from './components.js';

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, Schema> };
}
interface Operation {
  readonly description?: string;
  readonly parameters: readonly Parameter[];
  readonly responses: Record<string, { readonly content?: Content }>;
  readonly requestBody?: { readonly content: Content };
}
interface Parameter {
  readonly name: string;
  readonly required: boolean;
  readonly description?: string;
  readonly example?: unknown;
}
type Content = Record<
  string,
  { readonly schema: object; readonly examples?: Record<string, { readonly value: unknown }> }
>;
interface Schema {
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly properties?: Record<string, Schema>;
  readonly [key: string]: unknown;
}

const FACES = [
  fakeFace('embed', 'feature-extraction'),
  fakeFace('topic', 'text-classification'),
  fakeFace('rank', 'rerank'),
  fakeGenerator('chat'),
];

/** Errors of no path in particular, and errors that stand inside jobs. */
const OUTSIDE_PATHS = new Set<string>([
  ...['not_found', 'method_not_allowed', 'foreign_host', 'token_not_set', 'unauthorized', 'internal_error'],
  ...['device_failed', 'device_unavailable', 'model_invalid', 'source_unavailable'],
]);

let api: TestApi;
let document: Document;
beforeAll(async () => {
  api = await startTestApi({ faces: FACES });
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
    const make = async (path: string, body: object) =>
      ((await (await api.request('POST', path, body)).json()) as { id: string }).id;
    const endpoint = await make('/v1/webhook-endpoints', { url: 'https://example.com/' });
    const job = await make('/v1/jobs', { model: 'embed', input: 'a small knob' });
    for (const [path, method, { requestBody }] of allOperations()) {
      for (const { value } of Object.values(requestBody?.content['application/json']?.examples ?? {})) {
        const id = path.startsWith('/v1/jobs') ? job : endpoint;
        const response = await api.request(method.toUpperCase(), path.replace('{id}', id), value);
        expect(response.ok, `${method} ${path} ${JSON.stringify(value)}`).toBe(true);
        ran += 1;
      }
    }
    expect(ran).toBe(17);
  });

  test("has an example in the words of each path's own clients", () => {
    const exampleOf = (path: string) => {
      const [example] = Object.values(
        document.paths[path]?.post?.requestBody?.content['application/json']?.examples ?? {},
      );
      return Object.keys(example?.value as object);
    };
    expect(exampleOf('/rerank')).toEqual(['model', 'query', 'texts']);
    for (const path of ['/v1/rerank', '/v2/rerank']) expect(exampleOf(path)).toEqual(['model', 'query', 'documents']);
  });

  test('says of every operation, parameter and property what it is', () => {
    const silent: string[] = [];
    for (const [path, method, { description, parameters }] of allOperations()) {
      if (!description) silent.push(`${method} ${path}`);
      for (const parameter of parameters) {
        if (!parameter.description) silent.push(`${method} ${path} ${parameter.name}`);
      }
    }
    const properties = Object.entries(document.components.schemas).flatMap(([name, schema]) => walk(schema, name));
    expect(properties.length).toBeGreaterThan(150);
    silent.push(...properties.filter(([, { description }]) => !description).map(([path]) => path));
    expect(silent).toEqual([]);
  });

  test('has an example of every parameter that is required and of no other: the page sends them all', () => {
    for (const [path, method, { parameters }] of allOperations()) {
      for (const { name, required, example } of parameters) {
        expect(example !== undefined, `${method} ${path} ${name}`).toBe(required);
      }
    }
  });

  test('has an example of every answer, and each is what the API could send', () => {
    for (const [path, method, { responses }] of allOperations()) {
      for (const [status, { content = {} }] of Object.entries(responses)) {
        for (const [mediaType, { schema, examples = {} }] of Object.entries(content)) {
          if (!mediaType.endsWith('json')) continue;
          const schemas = refsIn(schema).map((name) => ANSWERS[name as keyof typeof ANSWERS] as z.ZodType);
          const values = Object.values(examples);
          expect(values.length, `${method} ${path} ${status}`).toBeGreaterThan(0);
          for (const { value } of values) {
            const valid = schemas.some((answer) => answer.safeParse(value).success);
            expect(valid, `${method} ${path} ${status} ${JSON.stringify(value)}`).toBe(true);
          }
        }
      }
    }
  });

  test('has examples of properties that are valid', () => {
    const properties = Object.entries(document.components.schemas).flatMap(([name, schema]) => walk(schema, name));
    let seen = 0;
    for (const [path, schema] of properties) {
      for (const example of schema.examples ?? []) {
        const { success } = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(example);
        expect(success, `${path} ${JSON.stringify(example)}`).toBe(true);
        seen += 1;
      }
    }
    expect(seen).toBeGreaterThan(20);
  });

  test('names every error that a request can be answered with', () => {
    const paths = JSON.stringify(document.paths);
    for (const code of Object.keys(ERRORS)) {
      if (!OUTSIDE_PATHS.has(code)) expect(paths, code).toContain(`\`${code}\``);
    }
  });
});

test('where keys are needed, the document names no model to those who have none', async () => {
  const keys = [{ tenant: { name: 'acme', weight: 1 }, digest: digestOf('key') }];
  const faces = [fakeFace('canary-embed', 'feature-extraction'), fakeFace('canary-rank', 'rerank')];
  const closed = await startTestApi({ faces, keys });
  onTestFinished(() => closed.close());
  const text = await (await closed.request('GET', '/openapi.json')).text();
  expect(text).not.toContain('canary');
  expect(text).toContain('your-model');
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

function allOperations(): [path: string, method: string, Operation][] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [path, method, operation]),
  );
}

/** Every property below a schema, with its path. */
function walk(schema: Schema, path: string): [path: string, Schema][] {
  const here = Object.entries(schema.properties ?? {}).flatMap(([name, property]): [string, Schema][] => [
    [`${path}.${name}`, property],
    ...walk(property, `${path}.${name}`),
  ]);
  const inside = [schema.items, schema.additionalProperties, schema.anyOf, schema.oneOf].flat();
  const parts = inside.filter((part): part is Schema => typeof part === 'object' && part !== null);
  return [...here, ...parts.flatMap((part) => walk(part, path))];
}

function refsIn(schema: object): string[] {
  return [...JSON.stringify(schema).matchAll(/schemas\/(\w+)"/g)].map(([, name]) => String(name));
}

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
    const route = path
      .join('')
      .replaceAll(/:(\w+)/g, '{$1}')
      .replace(/\/?\*$/, '/{name}');
    if (/^\/(v[12]|rerank|healthz|readyz)/.test(route)) routes[route] = names.sort();
  }
  return routes;
}
