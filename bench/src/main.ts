/** The command: `npm run bench -- [--only encoder|queue] [--rounds N] [--quick]`. */
import { parseArgs } from 'node:util';
import { encoderBench } from './encoder-bench.js';
import { makeModels } from './models.js';
import { queueBench } from './queue-bench.js';
import { type Section, writeReport } from './report.js';

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
await makeModels();
const sections: Section[] = [];
if (values.only !== 'queue') sections.push(...(await encoderBench(options)));
if (values.only !== 'encoder') sections.push(await queueBench(options));
console.log(`\n${await writeReport(sections, rounds)}`);
