/** Texts through an encoder, on the path of its jobs. */
import { ShoalError } from '@shoal/contracts';
import { createModelFace, loadRunner, type Model, type Row, type SessionPort, type SessionTensor } from '@shoal/models';
import type { Session, Tensors } from '@shoal/onnxruntime';
import { inputsIn } from '../data/texts.js';
import type { Examples } from '../types.js';
import { someOf, type TextOptions, type Texts, withTokens } from './texts.js';

/** Inputs of one request. */
const PAGE = 500;

/** @throws ShoalError `invalid_request` */
export async function encoderTexts(model: Model, examples: Examples, options: TextOptions): Promise<Texts> {
  const face = await createModelFace(model);
  const inputs = someOf(examples.items.flatMap((example) => inputsIn(model.task, example)));
  const rows: Sized[] = [];
  for (let from = 0; from < inputs.length; from += PAGE) {
    const input = inputs.slice(from, from + PAGE);
    const { items, tokens, parameters } = await face.encode({ input, parameters: { truncate: true } });
    rows.push(...items.map((item, n) => ({ row: { item, parameters }, tokens: tokens[n]! })));
  }
  if (rows.length === 0) throw new ShoalError('invalid_request', 'there are no texts to learn from');
  return new EncoderTexts(
    model,
    withTokens(rows, ({ tokens }) => tokens, options.tokens),
    options.signal,
  );
}

interface Sized {
  readonly row: Row;
  readonly tokens: number;
}

class EncoderTexts implements Texts {
  readonly vocabulary = undefined;
  readonly #model: Model;
  readonly #rows: readonly Sized[];
  readonly #signal: AbortSignal;

  constructor(model: Model, rows: readonly Sized[], signal: AbortSignal) {
    this.#model = model;
    this.#rows = rows;
    this.#signal = signal;
  }

  get count(): number {
    return this.#rows.length;
  }

  get tokens(): number {
    return this.#rows.reduce((sum, { tokens }) => sum + tokens, 0);
  }

  /** A pass is a text, whatever the `width`: encoders read no more than a few hundred tokens at once. */
  async observe(
    session: Session,
    wanted: readonly string[],
    _width: number,
    use: (outputs: Tensors) => void,
  ): Promise<void> {
    const own = this.#model.outputs.map(({ name }) => name);
    const outputs = [...new Set([...own, ...wanted])];
    await this.#runAll({
      async run(feeds, options) {
        const found = await session.run(feeds, { ...options, outputs });
        use(found);
        return found;
      },
      release: async () => undefined,
    });
  }

  async answers(session: Session, use: (answer: Float32Array) => void): Promise<void> {
    let raw: Readonly<Record<string, SessionTensor>> = {};
    const watched: SessionPort = {
      async run(feeds, options) {
        raw = await session.run(feeds, options);
        return raw;
      },
      release: async () => undefined,
    };
    await this.#runAll(watched, (vector) => use(vector ?? floatsOf(raw)));
  }

  async #runAll(port: SessionPort, answered: (vector: Float32Array | undefined) => void = () => {}): Promise<void> {
    const runner = loadRunner(this.#model, port);
    for (const { row } of this.#rows) {
      this.#signal.throwIfAborted();
      const [output] = await runner.run([row]);
      if (output instanceof Error) throw output;
      answered(output?.kind === 'vector' ? output.values : undefined);
    }
  }
}

/** The first output that has numbers: scores of classes, before anything is made of them. */
function floatsOf(outputs: Readonly<Record<string, SessionTensor>>): Float32Array {
  const found = Object.values(outputs).find(({ data }) => data instanceof Float32Array);
  return (found?.data as Float32Array | undefined) ?? new Float32Array();
}
