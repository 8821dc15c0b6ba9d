export { ESCALATED, tellsEscalated, watchEscalated } from './escalated.js';
export { tryTemplate } from './generation/prompts.js';
export { type FoundJoining, findJoining, type JoiningOptions } from './independence/find-joining.js';
export { LazyList } from './lazy-list.js';
export { type MeasuredPass, measuredPass, syntheticRow } from './measured-pass.js';
export { createModelFace, createPresenter } from './model-face.js';
export { shortest, shortestArray } from './numbers/shortest.js';
export { type Aliases, NO_ALIASES, readAliases, type Share } from './repository/aliases.js';
export {
  type DecoderInfo,
  decoderInfoOf,
  GRAPH_VERSION,
  readDecoderInfo,
  writeDecoderInfo,
} from './repository/decoder-info.js';
export { LARGE_JSON, MAX_JSON_BYTES } from './repository/files.js';
export { checkDraft } from './repository/folder.js';
export { embeddingOutputs, logitsOutput } from './repository/graph.js';
export { graphFiles, hashGraph, identityOf, stampOf } from './repository/graph-identity.js';
export { type GeneratorModel, openGenerator } from './repository/open-generator.js';
export { openModel } from './repository/open-model.js';
export { QUALITY_FILE, QUALITY_LOCK } from './repository/quality.js';
export { openRepository, type Repository } from './repository/repository.js';
export {
  expectedModels,
  isSameReading,
  isUnloaded,
  type ModelWishes,
  selectModel,
  selects,
} from './repository/selection.js';
export { poolingModes } from './repository/sentence-transformers.js';
export { isServedFile } from './repository/served-files.js';
export type { ModelProblem } from './repository/version-folders.js';
export { type RepositoryWatch, watchRepository } from './repository/watch.js';
export { weightBytes } from './repository/weight-bytes.js';
export { isLarge } from './result-size.js';
export { loadRunner } from './runner.js';
export type { SessionPort, SessionTensor, TensorData } from './session.js';
export { sessionModel } from './session-model.js';
export { tagOf } from './tasks/aggregate.js';
export { type AnswerOptions, type AnswerPiece, AnswerText, addToAnswers } from './text/answer-text.js';
export { collate } from './text/collate.js';
export type { StreamDecoder } from './text/text-stream.js';
export type { TokenTexts } from './text/token-texts.js';
export { loadStreamDecoders } from './text/tokenizer.js';
export { type KeptTuning, keepTuning, type ReadTuning, readTuning, type TuningPlace } from './tuning/keep.js';
export { type Machine, machineOf, wordsOf } from './tuning/machine.js';
export { encoderSession, TunedSettings } from './tuning/settings.js';
export type {
  AdvisedSampling,
  EncodedInput,
  EncodeRequest,
  GeneratorDetails,
  ItemOutcome,
  Model,
  ModelFace,
  ModelRunner,
  Presented,
  Presenter,
  Row,
  ScoreFunction,
  TextDetails,
} from './types.js';
export { receiptOf, summaryOf, viewOf } from './view.js';
