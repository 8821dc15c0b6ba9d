/** What the API is made of: every object is built here, once, from what the process was given. */
import { type DynamicModule, Module } from '@nestjs/common';
import { Catalog, Intake } from '@shoal/intake';
import type { JobStore } from '@shoal/queue';
import type { ApiMetrics, Logger, Tracer } from '@shoal/telemetry';
import { EventUrls } from './events/event-urls.js';
import { EventsController } from './events/events.controller.js';
import { FilesController } from './files/files.controller.js';
import { FILE_PARTS, type FileParts } from './files/parts.js';
import { HealthController } from './health/health.controller.js';
import { Readiness } from './health/readiness.js';
import { FailureLog } from './http/failure-log.js';
import { HeldRequests } from './http/held-requests.js';
import { RootController } from './http/root.controller.js';
import type { ApiKey } from './http/tenant.js';
import { BulkController } from './jobs/bulk.controller.js';
import { JobsController } from './jobs/jobs.controller.js';
import { JobsService } from './jobs/jobs.service.js';
import {
  ADMIN_SETTINGS,
  type AdminSettings,
  CARD_SETTINGS,
  type CardSettings,
  ModelsController,
} from './models/models.controller.js';
import { ChatController } from './openai/chat.controller.js';
import { CompletionsController } from './openai/completions.controller.js';
import { EmbeddingsController } from './openai/embeddings.controller.js';
import { EmbeddingsService } from './openai/embeddings.service.js';
import { JobRuns } from './openai/job-runs.js';
import { RerankController } from './openai/rerank.controller.js';
import { RerankService } from './openai/rerank.service.js';
import { TextCalls } from './openai/text-calls.js';
import { EndpointsController } from './webhooks/endpoints.controller.js';
import { SecretController } from './webhooks/secret.controller.js';
import { type WebhookParts, Webhooks } from './webhooks/webhooks.js';

/** What the API needs from outside. */
export interface Parts {
  readonly store: JobStore;
  readonly webhooks: WebhookParts;
  readonly files: FileParts;
  /** The models that are served, as they come and go. */
  readonly catalog: Catalog;
  /** Who may say which of them are loaded; left out: nobody. */
  readonly admin?: AdminSettings;
  /** None: every request is the sole tenant's, and only this machine is served. */
  readonly keys: readonly ApiKey[];
  /** Where callers reach the API, without a slash at the end; left out: as each request says. */
  readonly publicUrl?: string | undefined;
  /** Addresses and networks of proxies whose X-Forwarded headers count; none where left out. */
  readonly trustedProxies?: readonly string[];
  /** Of one request, unpacked. */
  readonly maxBodyBytes: number;
  /** Origins whose pages may call; none: only pages that this server serves. */
  readonly corsOrigins: readonly string[];
  /** How long an ended job is kept unless it says otherwise. */
  readonly retentionMs: number;
  /** Longest time of a call that answers with results: embeddings, reranking. */
  readonly callTimeoutMs: number;
  /** Longest time of a call for generated texts. */
  readonly generationTimeoutMs: number;
  readonly metrics: ApiMetrics;
  readonly logger: Logger;
  /** Unix ms. */
  readonly clock: () => number;
  /** Undefined: requests and jobs are not traced. */
  readonly tracer: Tracer | undefined;
}

const NO_ADMINS: AdminSettings = { admins: [], wish: async () => {} };

@Module({})
class AppModule {}

export function appModule({
  store,
  webhooks,
  files,
  catalog,
  admin = NO_ADMINS,
  keys,
  publicUrl,
  retentionMs,
  callTimeoutMs,
  generationTimeoutMs,
  metrics,
  logger,
  clock,
  tracer,
}: Parts): DynamicModule {
  return {
    module: AppModule,
    controllers: [
      BulkController,
      JobsController,
      EventsController,
      EndpointsController,
      SecretController,
      EmbeddingsController,
      RerankController,
      ChatController,
      CompletionsController,
      FilesController,
      ModelsController,
      HealthController,
      RootController,
    ],
    providers: [
      { provide: Catalog, useValue: catalog },
      { provide: ADMIN_SETTINGS, useValue: admin },
      { provide: FILE_PARTS, useValue: files },
      { provide: CARD_SETTINGS, useValue: { publicUrl, keys: keys.length > 0 } satisfies CardSettings },
      { provide: HeldRequests, useFactory: () => new HeldRequests(metrics) },
      { provide: EventUrls, useFactory: () => new EventUrls(keys, clock) },
      { provide: Webhooks, useFactory: () => new Webhooks(webhooks) },
      { provide: FailureLog, useFactory: () => new FailureLog(logger) },
      {
        provide: JobsService,
        useFactory: (hooks: Webhooks) => {
          const intake = new Intake({ store, catalog, webhooks: hooks, retentionMs, metrics, clock, tracer });
          return new JobsService(store, catalog, intake, clock);
        },
        inject: [Webhooks],
      },
      {
        provide: JobRuns,
        useFactory: (jobs: JobsService) => new JobRuns(jobs, callTimeoutMs, logger),
        inject: [JobsService],
      },
      {
        provide: EmbeddingsService,
        useFactory: (runs: JobRuns) => new EmbeddingsService(runs, catalog),
        inject: [JobRuns],
      },
      {
        provide: RerankService,
        useFactory: (runs: JobRuns) => new RerankService(runs, catalog),
        inject: [JobRuns],
      },
      {
        provide: TextCalls,
        useFactory: (jobs: JobsService, held: HeldRequests, failures: FailureLog) =>
          new TextCalls(new JobRuns(jobs, generationTimeoutMs, logger), catalog, held, metrics, failures),
        inject: [JobsService, HeldRequests, FailureLog],
      },
      { provide: Readiness, useFactory: () => new Readiness(store, catalog) },
    ],
  };
}
