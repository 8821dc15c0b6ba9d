/** The command: `npm run bench -- [--only encoder,queue,decode,scale,limits] [--rounds N] [--quick]`. */
import { parseArgs } from 'node:util';
import { decodeBench } from './decode-bench.js';
import { encoderBench } from './encoder-bench.js';
import { limitsBench } from './limits-bench.js';
import { makeModels } from './models.js';
import { queueBench } from './queue-bench.js';
import { type Section, writeReport } from './report.js';
import { scaleBench } from './scale-bench.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'encoder,queue,decode' },
    rounds: { type: 'string', default: '5' },
    quick: { type: 'boolean', default: false },
    /** Variables of the worker, `NAME=value`. */
    worker: { type: 'string', multiple: true, default: [] },
    /** Folder for CPU profiles of API and worker. */
    profile: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const options = {
  rounds,
  scale: values.quick ? 0.25 : 1,
  say: (line: string) => console.log(line),
  workerEnv: Object.fromEntries(values.worker.map((pair) => pair.split('=', 2) as [string, string])),
  ...(values.profile !== undefined && { profileDir: values.profile }),
};
/** In the order in which they run; `scale` and `limits` by name only, since they measure Shoal by itself and no peer. */
const PARTS: Readonly<Record<string, () => Promise<readonly Section[]>>> = {
  encoder: () => encoderBench(options),
  queue: async () => [await queueBench(options)],
  decode: () => decodeBench(options),
  scale: () => scaleBench(options),
  limits: async () => [await limitsBench(options)],
};
const wanted = values.only.split(',').map((part) => part.trim());
const unknown = wanted.filter((part) => !Object.hasOwn(PARTS, part));
if (unknown.length > 0) {
  console.error(`--only takes ${Object.keys(PARTS).join(', ')}, or several with commas, and not ${unknown.join(', ')}`);
  process.exit(1);
}
await makeModels();
const sections: Section[] = [];
for (const [name, run] of Object.entries(PARTS)) if (wanted.includes(name)) sections.push(...(await run()));
console.log(`\n${await writeReport(sections, rounds)}`);
