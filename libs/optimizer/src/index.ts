export { seededRandom } from '@shoal/training';
export { cpuTime } from './cpu-time.js';
export type { LabelledModel } from './data/examples.js';
export { PARTS } from './data/parts.js';
export { readData } from './data/read-data.js';
export { cascade } from './distil/cascade.js';
export { staticHead } from './distil/static-head.js';
export { staticRanker } from './distil/static-ranker.js';
export { staticStudent } from './distil/static-student.js';
export { type CompareOptions, compare } from './evaluate/compare.js';
export { type Bound, boundOf } from './gate/bound.js';
export { judge, LEAST_GAIN } from './gate/judge.js';
export { type MeasuredSpeed, measureSpeed, type SpeedContext, type SpeedRun } from './gate/speed.js';
export { TABLE } from './methods/table.js';
export { optimize, showPlan } from './optimize.js';
export { heads } from './prune/heads.js';
export { layers } from './prune/layers.js';
export { neurons } from './prune/neurons.js';
export { vocabulary } from './prune/vocabulary.js';
export { probeQuality, readQuality, writeQuality } from './quality/quality-file.js';
export { type Harm, harmBeside } from './quantise/harm.js';
export { int4Importance, int4Mixed } from './quantise/int4.js';
export { int8Smooth } from './quantise/int8-smooth.js';
export { openTexts } from './quantise/open-texts.js';
export { buildOf } from './quantise/workshop.js';
export { durationOf } from './report/words.js';
export type { MethodTable, OptimizeContext, Optimized, OptimizeRequest, RunProgress } from './run/types.js';
export type { AskedPage, GivenElsewhere, Question, TeacherElsewhere } from './teacher/types.js';
export { neuronsHealed } from './train/healed.js';
export { makeStudent, student } from './train/student.js';
export type { Evaluation, Healed } from './train/types.js';
export { type Interval, medianInterval } from './tune/median-interval.js';
export { reportTuning, wordsOfSetting } from './tune/report.js';
export { type Found, type SearchProgress, searchSettings } from './tune/search.js';
export { countSettings, everySetting, keyOf, type Setting, type Space } from './tune/setting.js';
export { type TuneOptions, type Tuning, tuneModel, workOf } from './tune/tune.js';
export { logOfRatio, type Taken, type Work, type WorkOptions } from './tune/work.js';
export type {
  Allowed,
  Candidate,
  Comparison,
  Context,
  Data,
  Example,
  Examples,
  Figure,
  Limits,
  Made,
  Method,
  Subject,
  Verdict,
} from './types.js';
