export { type ClaimedItem, Consumer, type ConsumerOptions, Dropped, type Outcome } from './consumer.js';
export { toJobError } from './errors.js';
export { type JobStoreOptions, type OpenJobStore, openJobStore } from './job-store.js';
export { parseJobId, queueName, queueTag } from './keys.js';
export { type Finished, Publisher, type PublisherOptions, type Verdict } from './publisher.js';
export { waitForRedis } from './redis.js';
export type {
  Admitted,
  JobFilter,
  JobPage,
  JobPart,
  JobProgress,
  JobStore,
  NewJob,
  QueueDepth,
  Tenant,
} from './types.js';
