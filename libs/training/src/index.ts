/**
 * Training without Python: gradients of ONNX graphs as ONNX graphs, run by ONNX Runtime, and an optimiser. From a model to a
 * trained one: `trainingGraph`, `Trainer.open`, `train`, `withWeights`.
 */
export { differentiate, type GradientRequest } from './gradient/differentiate.js';
export { plainAttention } from './graph/plain-attention.js';
export { EMBEDDING, pooled } from './graph/pooled.js';
export { prepare } from './graph/prepare.js';
export { type Known, learnShapes, type Probes, type Shapes, textProbes } from './graph/shapes.js';
export { storeInHalves } from './graph/stored-halves.js';
export { weightNames } from './graph/weight-names.js';
export type { Weight, Weights } from './graph/weights.js';
export { withWeights } from './graph/with-weights.js';
export { type AddedLoss, addLosses, type Loss, ROW_WEIGHTS } from './losses/losses.js';
export type { Settings, TrainerOptions } from './trainer/options.js';
export { seededRandom, shuffled } from './trainer/random.js';
export { type Run, train } from './trainer/train.js';
export { type Batch, type StepReport, Trainer } from './trainer/trainer.js';
export { gradientOf, type TrainingGraph, type TrainingGraphOptions, trainingGraph } from './trainer/training-graph.js';
