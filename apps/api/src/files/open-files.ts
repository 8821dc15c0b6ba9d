/** Files of an API process: their records, the store, and what is to be done beside requests. */
import { openFileStore, type RedisTarget } from '@shoal/queue';
import { openStore, type S3Settings } from '@shoal/storage';
import { createFileMetrics, type Logger, logRarely } from '@shoal/telemetry';
import type { Registry } from 'prom-client';
import type { Kept } from './parts.js';
import { StoreMark } from './store-mark.js';
import { FileSweeper } from './sweeper.js';

interface FileSettings {
  readonly redis: RedisTarget;
  readonly url: string;
  readonly s3: S3Settings;
  /** Of one tenant. */
  readonly quotas: { readonly files: number; readonly bytes: number };
  readonly registry: Registry;
  readonly logger: Logger;
  readonly onRedisError: (error: Error) => void;
  readonly clock: () => number;
}

export type OpenFiles = Kept & { close(): Promise<void> };

/** @throws ShoalError `redis_unavailable`, `storage_unavailable`, `storage_full` */
export async function openFiles(settings: FileSettings): Promise<OpenFiles> {
  const { redis, url, s3, quotas, registry, logger, onRedisError, clock } = settings;
  const store = await openStore(url, { clock, s3 });
  const records = await openFileStore({ ...redis, quotas, onError: onRedisError });
  const sweeper = new FileSweeper(records, store, logRarely(logger, 'files.sweep_failed', clock));
  const mark = new StoreMark(records, store, logger);
  createFileMetrics(registry, () => records.totals());
  sweeper.start();
  mark.start();
  return {
    records,
    store,
    async close() {
      mark.stop();
      await sweeper.stop();
      records.close();
      await store.close();
    },
  };
}
