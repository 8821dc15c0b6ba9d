/** What the API is made of: every object is built here, once, from what the process was given. */
import { type DynamicModule, Module } from '@nestjs/common';
import type { Encoder } from '@shoal/models';
import type { JobStore } from '@shoal/queue';
import type { ApiMetrics, Logger, Tracer } from '@shoal/telemetry';
import { EventUrls } from './events/event-urls.js';
import { EventsController } from './events/events.controller.js';
import { HealthController } from './health/health.controller.js';
import { Readiness } from './health/readiness.js';
import { FailureLog } from './http/failure-log.js';
import { RootController } from './http/root.controller.js';
import type { ApiKey } from './http/tenant.js';
import { Waits } from './http/waits.js';
import { BulkController } from './jobs/bulk.controller.js';
import { JobsController } from './jobs/jobs.controller.js';
import { JobsService } from './jobs/jobs.service.js';
import { Catalog } from './models/catalog.js';
import { ModelsController } from './models/models.controller.js';
import { EmbeddingsController } from './openai/embeddings.controller.js';
import { EmbeddingsService } from './openai/embeddings.service.js';
import { EndpointsController } from './webhooks/endpoints.controller.js';
import { SecretController } from './webhooks/secret.controller.js';
import { type WebhookParts, Webhooks } from './webhooks/webhooks.js';

/** What the API needs from outside. */
export interface Parts {
  readonly store: JobStore;
  readonly webhooks: WebhookParts;
  /** One per version of a model, newer versions first. */
  readonly encoders: readonly Encoder[];
  /** None: every request is the sole tenant's, and only this machine is served. */
  readonly keys: readonly ApiKey[];
  /** Of one request, unpacked. */
  readonly maxBodyBytes: number;
  /** Origins whose pages may call; none: only pages that this server serves. */
  readonly corsOrigins: readonly string[];
  /** How long an ended job is kept unless it says otherwise. */
  readonly retentionMs: number;
  readonly embeddingsTimeoutMs: number;
  readonly metrics: ApiMetrics;
  readonly logger: Logger;
  /** Unix ms. */
  readonly clock: () => number;
  /** Undefined: requests and jobs are not traced. */
  readonly tracer: Tracer | undefined;
}

@Module({})
class AppModule {}

export function appModule({
  store,
  webhooks,
  encoders,
  keys,
  retentionMs,
  embeddingsTimeoutMs,
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
      ModelsController,
      HealthController,
      RootController,
    ],
    providers: [
      { provide: Catalog, useFactory: () => new Catalog(encoders) },
      { provide: Waits, useFactory: () => new Waits(metrics) },
      { provide: EventUrls, useFactory: () => new EventUrls(keys, clock) },
      { provide: Webhooks, useFactory: () => new Webhooks(webhooks) },
      { provide: FailureLog, useFactory: () => new FailureLog(logger) },
      {
        provide: JobsService,
        useFactory: (catalog: Catalog, hooks: Webhooks) =>
          new JobsService(store, catalog, hooks, retentionMs, metrics, tracer),
        inject: [Catalog, Webhooks],
      },
      {
        provide: EmbeddingsService,
        useFactory: (jobs: JobsService) => new EmbeddingsService(jobs, embeddingsTimeoutMs, logger),
        inject: [JobsService],
      },
      { provide: Readiness, useFactory: (catalog: Catalog) => new Readiness(store, catalog), inject: [Catalog] },
    ],
  };
}
