export { type Harm, harmBeside } from './quantise/harm.js';
export { int4Importance, int4Mixed } from './quantise/int4.js';
export { int8Smooth } from './quantise/int8-smooth.js';
export { openTexts } from './quantise/open-texts.js';
export { buildOf } from './quantise/workshop.js';
export { heads } from './prune/heads.js';
export { layers } from './prune/layers.js';
export { neurons } from './prune/neurons.js';
export { vocabulary } from './prune/vocabulary.js';
export type { LabelledModel } from './data/examples.js';
export { PARTS } from './data/parts.js';
export { readData } from './data/read-data.js';
export { type CompareOptions, compare } from './evaluate/compare.js';
export { type Bound, boundOf } from './gate/bound.js';
export { judge, LEAST_GAIN } from './gate/judge.js';
export { seededRandom } from './gate/random.js';
export { type MeasuredSpeed, measureSpeed, type SpeedContext, type SpeedRun } from './gate/speed.js';
export { TABLE } from './methods/table.js';
export { optimize, showPlan } from './optimize.js';
export { heads } from './prune/heads.js';
export { layers } from './prune/layers.js';
export { neurons } from './prune/neurons.js';
export { vocabulary } from './prune/vocabulary.js';
export { bytesOf, machineOf, readQuality, writeQuality } from './quality/quality-file.js';
export { durationOf } from './report/words.js';
export type { MethodTable, OptimizeContext, Optimized, OptimizeRequest, RunProgress } from './run/types.js';
export type {
  Allowed,
  Candidate,
  Comparison,
  Context,
  Data,
  Example,
  Examples,
  Figure,
  Made,
  Method,
  Subject,
  Verdict,
} from './types.js';
