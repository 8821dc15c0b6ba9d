/** What `npm run bench` measures, once its options are read. */
import type { BenchOptions, Part } from '@shoal/tools/bench-options';
import { accuracyBench } from './accuracy/accuracy-bench.js';
import { decodeBench } from './decode-bench.js';
import { encoderBench } from './encoder-bench.js';
import { gateBench } from './gate-bench.js';
import { generationBackgroundBench } from './generation/generation-background.js';
import { generationBench } from './generation/generation-bench.js';
import { generationMixedBench } from './generation/generation-mixed.js';
import { generationRedisBench } from './generation/generation-redis.js';
import { generationReuseBench } from './generation/generation-reuse.js';
import { importsBench } from './imports-bench.js';
import { limitsBench } from './limits-bench.js';
import { makeModels } from './models.js';
import { pruneBench } from './prune-bench.js';
import { pullBench } from './pull-bench.js';
import { quantiseBench } from './quantise-bench.js';
import { queueBench } from './queue-bench.js';
import { type Section, writeReport } from './report.js';
import { scaleBench } from './scale-bench.js';
import { stacksBench } from './stacks-bench.js';
import { studentsBench } from './students/students-bench.js';
import { trainingBench } from './training-bench.js';
import { tuneBench } from './tune-bench.js';

export async function runBench({ parts, rounds, quick, workerEnv, profile }: BenchOptions): Promise<void> {
  const options = {
    rounds,
    scale: quick ? 0.25 : 1,
    say: (line: string) => console.log(line),
    workerEnv,
    ...(profile !== undefined && { profileDir: profile }),
  };
  const measure: Readonly<Record<Part, () => Promise<readonly Section[]>>> = {
    encoder: () => encoderBench(options),
    queue: async () => [await queueBench(options)],
    decode: () => decodeBench(options),
    generation: () => generationBench(options),
    'generation-mixed': async () => [await generationMixedBench(options)],
    'generation-redis': async () => [await generationRedisBench(options)],
    'generation-background': async () => [await generationBackgroundBench(options)],
    'generation-reuse': () => generationReuseBench(options),
    scale: () => scaleBench(options),
    limits: async () => [await limitsBench(options)],
    imports: async () => [await importsBench(options)],
    pull: async () => [await pullBench(options)],
    quantise: () => quantiseBench(options),
    prune: async () => [await pruneBench(options)],
    gate: async () => [await gateBench(options)],
    training: async () => [await trainingBench(options)],
    accuracy: () => accuracyBench(options),
    tune: async () => [await tuneBench(options)],
    students: () => studentsBench(options),
    stacks: async () => [await stacksBench(options)],
  };
  await makeModels();
  const sections: Section[] = [];
  for (const part of parts) sections.push(...(await measure[part]()));
  console.log(`\n${await writeReport(sections, rounds)}`);
}
