// @ts-check
/**
 * Eight forward passes of a bundled model at once, then a file and a name; prints how many passes had ended when each was
 * answered. libuv takes up work in the order in which it came: what is asked for after the passes and answered before any of
 * them has ended shows that all eight are under way.
 */
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { openRuntime } from '@shoal/onnxruntime';

const ROWS = 64;
const LENGTH = 128;

const runtime = await openRuntime({ prefer: 'c-api' });
const session = await runtime.createSession('models/wordnet-embed/1/onnx/model.onnx', { intraOpThreads: 1 });
const tensor = (/** @type {bigint} */ value) => ({
  type: /** @type {const} */ ('int64'),
  dims: [ROWS, LENGTH],
  data: new BigInt64Array(ROWS * LENGTH).fill(value),
});
const feeds = Object.fromEntries(session.inputs.map(({ name }) => [name, tensor(name === 'token_type_ids' ? 0n : 1n)]));
let ended = 0;
const passes = Array.from({ length: 8 }, () => session.run(feeds).then(() => ended++));
const atEnd = (/** @type {Promise<unknown>} */ work) => work.then(() => ended);
const [file, name] = await Promise.all([atEnd(readFile('package.json')), atEnd(lookup('localhost'))]);
await Promise.all(passes);
console.log(JSON.stringify({ file, name, ended }));
await session.release();
