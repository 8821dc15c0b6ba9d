/** The thread of an engine: steps while there is something to do, else it rests without using the processor. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { ShoalError } from '@shoal/contracts';
import { type DecoderInfo, readDecoderInfo, sessionModel } from '@shoal/models';
import { giveBack, openRuntime, type Session } from '@shoal/onnxruntime';
import { bytesPerToken } from '../kv/cache.js';
import { decoderSession } from '../session-options.js';
import { lookUp } from '../speculation/prompt-lookup.js';
import { Engine } from './engine.js';
import type { FromThread, ThreadOptions, ToThread } from './messages.js';
import { sizeOf } from './sizing.js';
import { SharedStats } from './stats.js';

const options = workerData as ThreadOptions;
const port: MessagePort = parentPort!;
const bell = new Int32Array(options.bell);
const shared = new SharedStats(options.stats);
let closing = false;

const loaded = await open().catch((error: unknown) => {
  const { code, message } = error instanceof ShoalError ? error : new ShoalError('internal_error', String(error));
  tell({ kind: 'refused', code, detail: message });
  return undefined;
});
if (loaded !== undefined) {
  await work(loaded.engine);
  await loaded.engine.release();
  await loaded.session.release();
}
port.close();

async function open(): Promise<{ engine: Engine; session: Session }> {
  const { modelPath, settings } = options;
  const info = readDecoderInfo(modelPath);
  if (info === undefined) {
    throw new ShoalError('model_invalid', 'The model does not say how it generates: import its checkpoint');
  }
  const runtime = await openRuntime();
  const session = await runtime.createSession(sessionModel(modelPath), decoderSession(settings));
  const size = sizeFor(session, info);
  const now = () => performance.now();
  const engine: Engine = new Engine(session, info, { ...size, now, propose: lookUp, hear: () => obey(engine) });
  const { rows, context, bytes: reservedBytes } = size;
  tell({ kind: 'ready', rows, context, vocabulary: info.vocabulary, reservedBytes });
  return { engine, session };
}

function sizeFor(session: Session, info: DecoderInfo) {
  const { memoryLimit, cacheShare, context = info.maxContext, rows } = options;
  const perToken = bytesPerToken(session, info);
  return sizeOf(
    {
      limit: memoryLimit,
      share: cacheShare,
      resident: process.memoryUsage.rss(),
      bytesPerToken: perToken,
      bytesPerBlock: (perToken / (2 * info.layers)) * info.maxContext,
      givesBack: giveBack(new Uint8Array(0)),
    },
    { context: Math.min(context, info.maxContext), ...(rows === undefined ? {} : { rows }) },
  );
}

async function work(engine: Engine): Promise<void> {
  for (;;) {
    const heard = Atomics.load(bell, 0);
    obey(engine);
    if (closing) return;
    shared.write(engine.stats);
    if (engine.idle) {
      engine.stats.rests++;
      shared.write(engine.stats);
      // A message that came since has rung the bell: this returns at once.
      Atomics.wait(bell, 0, heard);
    } else {
      tell({ kind: 'step', events: await engine.step() });
    }
  }
}

/** All messages that have come. */
function obey(engine: Engine): void {
  for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) {
    const message = got.message as ToThread;
    if (message.kind === 'close') closing = true;
    else if (message.kind === 'start') engine.start(message.request);
    else engine.stop(message.id);
  }
}

function tell(message: FromThread): void {
  port.postMessage(message);
}
