export { type CheckOptions, waitForRedis } from './check-redis.js';
export { Consumer, type ConsumerOptions } from './consumer.js';
export type { Demand } from './demand.js';
export { DemandReports } from './demand-reports.js';
export { type ClaimedItem, Dropped, type Engine, type Outcome, type Place, type Room } from './engine.js';
export { toJobError } from './errors.js';
export { filePrefix, pieceKey } from './files/keys.js';
export { type FileStore, type FileStoreOptions, type OpenFileStore, openFileStore } from './files/store.js';
export type {
  FileFilter,
  FileName,
  FilePage,
  FilePiece,
  FileQuotas,
  FileRecord,
  FileTotals,
  FinishedFile,
  NewFile,
  StoredFile,
} from './files/types.js';
export { type JobStoreOptions, type OpenJobStore, openJobStore, type ServedQueue } from './job-store.js';
export { drawOf, newUlid, parseJobId, parseQueue, queueName, queueTag } from './keys.js';
export {
  type BoardState,
  type LoadFailure,
  ModelBoard,
  type ProcessModels,
  type QueueWork,
  type Wish,
  type Wishes,
} from './model-board.js';
export { type Finished, Publisher, type PublisherOptions, type Verdict } from './publisher.js';
export type { RedisClient, RedisTarget } from './redis.js';
export { repeat } from './repeat.js';
export { PROVEN_TOKENS, type WriteVerdict, type Written } from './text-log.js';
export type {
  Admitted,
  FollowPosition,
  JobFilter,
  JobPage,
  JobPart,
  JobPiece,
  JobProgress,
  JobStore,
  NewJob,
  QueueDepth,
  QueuePlace,
  Tenant,
} from './types.js';
export { openWebhookBackend, type WebhookBackend } from './webhooks/delivery.js';
export { TASKS, WEBHOOKS_TAG } from './webhooks/keys.js';
export { liveSecrets } from './webhooks/secrets.js';
export { type OpenWebhookStore, openWebhookStore, type WebhookStore } from './webhooks/store.js';
export { eventFilter, unite } from './webhooks/subscriptions.js';
export {
  type AttemptPage,
  type AttemptResult,
  type Endpoint,
  type EndpointChanges,
  type EventFilter,
  JOBS,
  type LoggedAttempt,
  type Message,
  type MessageState,
  type NewEndpoint,
  type NewMessage,
  type OutboxEntry,
  type SealedSecret,
  type WebhookTask,
} from './webhooks/types.js';
