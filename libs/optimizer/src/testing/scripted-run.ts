/**
 * `shoal optimize` with scripted methods as a process, for tests that end it: `node scripted-run.js <request as JSON> <deaths>`. Dies by
 * SIGKILL at the `deaths`th word that it says or hears of progress; 0: never. Prints how many words there were.
 */
import { openRuntime } from '@shoal/onnxruntime';
import { optimize } from '../optimize.js';
import type { OptimizeRequest } from '../run/types.js';
import { METHODS } from './scripted-methods.js';

const [request = '', death = '0'] = process.argv.slice(2);
let words = 0;

function word(): void {
  words += 1;
  if (words === Number(death)) process.kill(process.pid, 'SIGKILL');
}

const { rows, lines } = await optimize(JSON.parse(request) as OptimizeRequest, {
  ...{ runtime: await openRuntime(), signal: new AbortController().signal, say: word, onProgress: word },
  table: { methods: METHODS, module: new URL('./scripted-methods.js', import.meta.url).href },
  now: () => performance.now(),
  date: () => new Date(),
});
process.stdout.write(
  JSON.stringify({ words, lines, outcomes: rows.map(({ candidate, outcome }) => [candidate.variant, outcome]) }),
);
