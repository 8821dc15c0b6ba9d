/** The table of methods, those that promise most first. The processes of trials take it from here, too. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { cascade } from '../distil/cascade.js';
import { staticHead } from '../distil/static-head.js';
import { staticRanker } from '../distil/static-ranker.js';
import { staticStudent } from '../distil/static-student.js';
import { heads } from '../prune/heads.js';
import { layers } from '../prune/layers.js';
import { neurons } from '../prune/neurons.js';
import { vocabulary } from '../prune/vocabulary.js';
import { int4Importance, int4Mixed } from '../quantise/int4.js';
import { int8Smooth } from '../quantise/int8-smooth.js';
import type { MethodTable } from '../run/types.js';
import { headsHealed, layersHealed, neuronsHealed } from '../train/healed.js';
import { student } from '../train/student.js';
import type { Method } from '../types.js';
import { fp16, int4, int8 } from './precision.js';

export const METHODS: readonly Method[] = [
  staticStudent,
  staticHead,
  staticRanker,
  cascade,
  int8,
  int8Smooth,
  int4Importance,
  int4Mixed,
  student,
  layers,
  neurons,
  neuronsHealed,
  int4,
  heads,
  layersHealed,
  headsHealed,
  vocabulary,
  fp16,
];

/** By its package name: the processes run compiled code even where this file is run from its source. */
export const TABLE: MethodTable = {
  methods: METHODS,
  module: pathToFileURL(createRequire(import.meta.url).resolve('@shoal/optimizer/methods')).href,
};
