export { describeIssue } from './describe-issue.js';
export { asShoalError, ERRORS, type ErrorCode, type Fault, ShoalError } from './errors.js';
export { faultsError, formatPath, MAX_FAULTS, parse } from './faults.js';
export {
  type DeletedFile,
  FileFields,
  type FileList,
  type FilePurpose,
  FileQuery,
  FileUpload,
  type FileView,
  MAX_EXPIRY_SECONDS,
  MAX_FILE_BYTES,
  MAX_FILE_LINES,
  MAX_FILENAME,
} from './files.js';
export {
  ChatMessage,
  Conversation,
  type GeneratedAnswer,
  type GenerationSettings,
  type LikelyToken,
  MAX_CHOICES,
  MAX_STOPS,
  MAX_TOP_LOGPROBS,
  type ShownToken,
  TextGenerationInput,
  TextGenerationParameters,
} from './generation.js';
export {
  type BatchReceipt,
  BulkRequest,
  type CloseReason,
  EventsUrlRequest,
  type EventsUrlView,
  isTerminal,
  JOB_STATES,
  type JobError,
  type JobReceipt,
  JobRequest,
  JobState,
  type JobSummary,
  type JobView,
  MAX_BODY_BYTES,
  MAX_BODY_DEPTH,
  MAX_ITEMS,
  MAX_RESULT_BYTES,
  MAX_RETENTION_SECONDS,
  MAX_WAIT_SECONDS,
  PRIORITIES,
  Priority,
  RequestedModel,
} from './job.js';
export { overLimit, parseJsonFile, refuseJsonFile } from './json-limits.js';
export {
  formatSelector,
  Joining,
  Limits,
  type ListedModel,
  type ModelCard,
  ModelName,
  ModelSelector,
  POOLINGS,
  type Pooling,
  parseSelector,
  type SelectedModel,
  type ServedModel,
  type ServedQuality,
  ShoalJson,
  type StandIn,
  TASKS,
  Task,
  type TensorSpec,
} from './model.js';
export { nearestNames } from './nearest.js';
export { EmbeddingsRequest, MAX_EMBEDDINGS } from './openai.js';
export { ChatCompletionRequest, chatFields } from './openai-chat.js';
export { CompletionRequest, completionFields } from './openai-completions.js';
export { countUnknown, SAMPLING_FIELDS } from './openai-generation.js';
export type { OpenAiInput } from './openai-inputs.js';
export {
  AccuracyLoss,
  GraphIdentity,
  LOSS_METRICS,
  LossMetric,
  MaxAccuracyLoss,
  MeasuredLoss,
  QualityJson,
  SpeedRatio,
  VariantQuality,
} from './quality.js';
export type { ItemReceipt, ItemResult, JobMeta, JobRecord } from './record.js';
export { requestObject } from './request.js';
export { RerankRequest, TextsRerankRequest } from './rerank.js';
export { sizeOf } from './size-of.js';
export {
  ELEMENT_TYPES,
  ElementType,
  FeatureExtractionParameters,
  RerankInput,
  type RerankOutput,
  RerankParameters,
  TensorInput,
  TensorsInput,
  TensorsParameters,
  type TextClassificationOutput,
  TextClassificationParameters,
  TextInput,
  type TokenClassificationEntity,
  TokenClassificationParameters,
} from './tasks.js';
export {
  type JobWebhook,
  MAX_WEBHOOK_URL,
  TERMINAL_EVENTS,
  WEBHOOK_EVENTS,
  WebhookEvent,
  WebhookEvents,
  WebhookRequest,
  WebhookSecret,
} from './webhook.js';
export {
  ATTEMPT_ERRORS,
  type AttemptError,
  type AttemptView,
  DISABLED_REASONS,
  type DisabledReason,
  EndpointPatch,
  EndpointRequest,
  type EndpointView,
  MAX_ENDPOINTS,
  MAX_OVERLAPPING_SECRETS,
  ReplayRequest,
  RotateRequest,
  type SecretView,
  TEST_EVENT,
} from './webhook-endpoint.js';
export type {
  GeneratedText,
  PromptItem,
  Savings,
  TensorsItem,
  TextItem,
  TextPiece,
  WireEntity,
  WireItem,
  WireLogprobs,
  WireOutput,
  WireTensor,
} from './wire.js';
