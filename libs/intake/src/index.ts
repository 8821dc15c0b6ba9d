/** From what callers ask to jobs, and from their records to answers: free of HTTP. */
export { CHAT, type ChatCompletion } from './faces/chat-face.js';
export { COMPLETION, type Completion } from './faces/completion-face.js';
export {
  EMBEDDINGS_JOB_INPUTS,
  EMBEDDINGS_TASK,
  type EmbeddingsResponse,
  embeddingsAnswer,
  embeddingsJobs,
  inEmbeddingsTerms,
  readEmbeddings,
} from './faces/embeddings.js';
export {
  RERANK_TASK,
  type RerankCall,
  type RerankResponse,
  readRerank,
  type TextsRerankResponse,
} from './faces/rerank.js';
export { headOf, settingsOf, type TextFace, type TextUsage, UsageCount, wholeAnswer } from './faces/text-face.js';
export { readChat, readCompletion, TEXT_TASK, type TextRequest } from './faces/text-request.js';
export { charactersOf, likelyFrom } from './faces/token-texts.js';
export { translated } from './faces/translate.js';
export { type EncodedJob, Intake, type IntakeParts, type PreparedWebhook, type Submission } from './jobs/intake.js';
export { Catalog, type Offer, type ServedVersion, type Standing } from './models/catalog.js';
export { LiveModels } from './models/live-models.js';
export type { Allowed } from './models/within-loss.js';
