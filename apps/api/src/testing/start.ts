/** The API on a free port, over a store in memory and two models without weights. */
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { MAX_BODY_BYTES, MAX_FILE_BYTES, MAX_FILE_LINES } from '@shoal/contracts';
import { Catalog, type Offer, type ServedVersion } from '@shoal/intake';
import { fakeFace } from '@shoal/intake/testing';
import type { ModelFace } from '@shoal/models';
import { AllowList } from '@shoal/network';
import { createApiMetrics, createLogger, type LogLevel, type Tracer } from '@shoal/telemetry';
import { SecretBox } from '@shoal/webhooks';
import { Registry } from 'prom-client';
import type { Parts } from '../app.module.js';
import type { UploadLimits } from '../files/uploads.js';
import type { ApiKey } from '../http/tenant.js';
import { createServer } from '../server.js';
import { FakeBlobs } from './fake-blobs.js';
import { FakeFileStore } from './fake-file-store.js';
import { FakeStore } from './fake-store.js';
import { FakeWebhookStore } from './fake-webhook-store.js';

export interface TestApi {
  readonly app: NestFastifyApplication;
  readonly store: FakeStore;
  readonly webhooks: FakeWebhookStore;
  /** The records of files, and what they hold. */
  readonly files: FakeFileStore;
  readonly blobs: FakeBlobs;
  readonly registry: Registry;
  readonly url: string;
  /** Every line that was logged. */
  readonly logged: string[];
  /** `body` that is no string is sent as JSON. */
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}

interface Options
  extends Partial<Pick<Parts, 'publicUrl' | 'trustedProxies' | 'admin'>>,
    Pick<Offer, 'unserved' | 'aliases'> {
  /** Each served in the one variant that it is of, */
  readonly faces?: readonly ModelFace[];
  /** or versions with several. */
  readonly versions?: readonly ServedVersion[];
  /** Whether requests that allow a loss get a variant that has one only while the original's queue is more than half a minute behind. */
  readonly accuracyUnderLoad?: boolean;
  readonly keys?: readonly ApiKey[];
  readonly callTimeoutMs?: number;
  readonly generationTimeoutMs?: number;
  /** False: no key is configured. */
  readonly secretKey?: boolean;
  readonly logLevel?: LogLevel;
  readonly tracer?: Tracer;
  readonly maxBodyBytes?: number;
  readonly uploads?: Partial<UploadLimits>;
  /** False: no store is configured. */
  readonly keepsFiles?: boolean;
  readonly corsOrigins?: readonly string[];
}

export async function startTestApi({
  keys = [],
  callTimeoutMs = 60_000,
  generationTimeoutMs = 60_000,
  secretKey = true,
  logLevel = 'info',
  tracer,
  maxBodyBytes = MAX_BODY_BYTES,
  corsOrigins = [],
  uploads,
  keepsFiles = true,
  unserved,
  aliases,
  faces = [fakeFace('embed', 'feature-extraction'), fakeFace('topic', 'text-classification')],
  versions = faces.map(servedAlone),
  accuracyUnderLoad = false,
  ...parts
}: Options = {}): Promise<TestApi> {
  const store = new FakeStore();
  const webhooks = new FakeWebhookStore();
  const files = new FakeFileStore();
  const blobs = new FakeBlobs();
  const registry = new Registry();
  const logged: string[] = [];
  const app = await createServer({
    store,
    webhooks: {
      store: webhooks,
      box: secretKey ? new SecretBox(Buffer.alloc(32, 7)) : null,
      allow: new AllowList(['127.0.0.0/8:9000']),
      resolve: resolveNames,
      clock: Date.now,
    },
    files: {
      kept: keepsFiles ? { records: files, store: blobs } : null,
      limits: { bytes: MAX_FILE_BYTES, lines: MAX_FILE_LINES, ...uploads },
    },
    catalog: new Catalog(
      { versions, ...(unserved && { unserved }), ...(aliases && { aliases }) },
      accuracyUnderLoad ? (queue) => store.delay(queue) > 30 : undefined,
    ),
    keys,
    maxBodyBytes,
    corsOrigins,
    retentionMs: 86_400_000,
    callTimeoutMs,
    generationTimeoutMs,
    metrics: createApiMetrics(registry),
    logger: createLogger({
      name: 'api',
      level: logLevel,
      destination: { write: (line) => void logged.push(line) },
    }),
    clock: Date.now,
    tracer,
    ...parts,
  });
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  return {
    app,
    store,
    webhooks,
    files,
    blobs,
    registry,
    url,
    logged,
    request: (method, path, body, headers = {}) => {
      const sent = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body);
      const type = body === undefined ? {} : { 'content-type': 'application/json' };
      return fetch(`${url}${path}`, { method, body: sent, headers: { ...type, ...headers } });
    },
    close: () => app.close(),
  };
}

/** A version with one variant. */
export function servedAlone(face: ModelFace): ServedVersion {
  return { face, variants: [face.model] };
}

/** `internal.*` has a private address, `unknown.*` none, and DNS is down for `down.*`. */
async function resolveNames(host: string): Promise<string[]> {
  if (host.startsWith('down.')) throw new Error('DNS does not answer');
  if (host.startsWith('unknown.')) return [];
  return [host.startsWith('internal.') ? '10.0.0.7' : '1.1.1.1'];
}
