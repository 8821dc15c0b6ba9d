export type {
  Admitted,
  ItemReceipt,
  ItemResult,
  JobFilter,
  JobMeta,
  JobPage,
  JobRecord,
  JobStore,
  NewJob,
  Tenant,
} from './types.js';
