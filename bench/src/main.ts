/** The command: `npm run bench -- [--only encoder|queue|scale|decode] [--rounds N] [--quick]`. */
import { parseArgs } from 'node:util';
import { decodeBench } from './decode-bench.js';
import { encoderBench } from './encoder-bench.js';
import { makeModels } from './models.js';
import { queueBench } from './queue-bench.js';
import { type Section, writeReport } from './report.js';
import { scaleBench } from './scale-bench.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
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
const PARTS = ['encoder', 'queue', 'scale', 'decode'];
if (values.only !== undefined && !PARTS.includes(values.only)) {
  console.error(`--only must be one of ${PARTS.join(', ')}`);
  process.exit(1);
}
await makeModels();
const sections: Section[] = [];
const wants = (part: string) => values.only === undefined || values.only === part;
if (wants('encoder')) sections.push(...(await encoderBench(options)));
if (wants('queue')) sections.push(await queueBench(options));
if (wants('decode')) sections.push(...(await decodeBench(options)));
// By name only: it measures how the parts scale, not Shoal beside a peer, and takes a while.
if (values.only === 'scale') sections.push(...(await scaleBench(options)));
console.log(`\n${await writeReport(sections, rounds)}`);
