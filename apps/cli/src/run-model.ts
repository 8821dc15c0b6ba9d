/** `shoal run`: a model that generates text, in this process and in the terminal. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { ShoalError } from '@shoal/contracts';
import { generateGreedily } from '@shoal/generation';
import {
  chatTemplate,
  type DecoderInfo,
  type GeneratorModel,
  openGenerator,
  readDecoderInfo,
  type StreamDecoder,
  sessionModel,
  streamDecoder,
  TextStream,
} from '@shoal/models';
import { openRuntime, type Session } from '@shoal/onnxruntime';
import { UserError } from '@shoal/tools/user-error';
import tokenizers from 'tokenizers';

export interface RunRequest {
  /** A model folder, or the name of a model in `SHOAL_MODELS_DIR`. */
  readonly model: string;
  /** Undefined: every line of the standard input is one. */
  readonly prompt: string | undefined;
  /** Of the answer, in tokens. */
  readonly maxTokens: number;
  /** The default one where undefined. */
  readonly variant: string | undefined;
}

export interface Terminal {
  /** Prompts, one a line. */
  readonly input: NodeJS.ReadableStream;
  /** The answer, as it grows. */
  readonly write: (text: string) => void;
  /** A line about the run. */
  readonly say: (line: string) => void;
  /** Shown where a prompt is waited for; '' where nobody types. */
  readonly question: string;
}

/** As the signal would have ended it. */
function interrupt(signal: NodeJS.Signals): void {
  process.kill(process.pid, signal);
}

const TERMINAL: Terminal = {
  input: process.stdin,
  write: (text) => process.stdout.write(text),
  say: (line) => console.error(line),
  question: process.stdin.isTTY ? '> ' : '',
};

/** Throws a UserError that says what is wrong with the model or the prompt. */
export async function runModel(request: RunRequest, models: string, terminal: Terminal = TERMINAL): Promise<void> {
  try {
    const generator = await load(await folderOf(request.model, models), request.variant);
    try {
      for await (const prompt of promptsOf(request, terminal))
        await answer(generator, prompt, request.maxTokens, terminal);
    } finally {
      await generator.session.release();
    }
  } catch (error) {
    throw error instanceof ShoalError ? new UserError(error.message) : error;
  }
}

interface Generator {
  readonly session: Session;
  readonly info: DecoderInfo;
  readonly tokenizer: tokenizers.Tokenizer;
  readonly decoder: StreamDecoder;
  readonly model: GeneratorModel;
}

async function folderOf(model: string, models: string): Promise<string> {
  for (const folder of [model, join(models, model)]) {
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory()) return folder;
  }
  throw new UserError(`there is no folder ${model}, and no model of this name in ${models}.`);
}

async function load(folder: string, variant: string | undefined): Promise<Generator> {
  const models = await openGenerator(folder);
  const model = variant === undefined ? models[0] : models.find((one) => one.variant === variant);
  if (model === undefined) {
    throw new UserError(`${folder} has no variant ${variant}, only ${models.map((one) => one.variant).join(', ')}.`);
  }
  const path = model.variants[model.variant]!;
  const json = await readFile(join(model.folder, 'tokenizer.json'), 'utf8');
  const tokenizer = tokenizers.Tokenizer.fromString(json);
  const runtime = await openRuntime();
  return {
    model,
    tokenizer,
    decoder: streamDecoder(tokenizer, json, true),
    // Of its graph: openGenerator takes no other.
    info: { ...readDecoderInfo(path)!, ...limitsOf(model) },
    // All cores, whose threads wait awake for the next of a step's many operators: the process has nothing else to do.
    session: await runtime.createSession(sessionModel(path), { intraOpThreads: 0, spinning: true }),
  };
}

/** As the folder has them. */
function limitsOf({
  generator: { maxContext, eosTokenIds },
}: GeneratorModel): Pick<DecoderInfo, 'maxContext' | 'eosTokenIds'> {
  return { maxContext, eosTokenIds: [...eosTokenIds] };
}

async function* promptsOf({ prompt }: RunRequest, { input, say, question }: Terminal): AsyncGenerator<string> {
  if (prompt !== undefined) {
    yield prompt;
    return;
  }
  if (question !== '') say('Each line is a prompt of its own; Ctrl-D ends.');
  const lines = createInterface({ input, ...(question !== '' && { output: process.stderr, prompt: question }) });
  // In a terminal readline takes Ctrl-C for itself.
  lines.once('SIGINT', () => interrupt('SIGINT'));
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() !== '') yield line;
    lines.prompt();
  }
}

async function answer(
  { session, info, tokenizer, decoder, model }: Generator,
  prompt: string,
  maxTokens: number,
  { write, say }: Terminal,
): Promise<void> {
  const ids = await encode(tokenizer, model, prompt);
  if (ids.length === 0) throw new UserError('the prompt is empty.');
  if (ids.length >= info.maxContext) {
    throw new UserError(`the prompt has ${ids.length} tokens; prompt and answer may have ${info.maxContext}.`);
  }
  const stream = new TextStream(decoder);
  const start = performance.now();
  let [first, last, count] = [start, start, 0];
  for await (const [id] of generateGreedily(session, info, [ids], { maxTokens, blocking: true })) {
    last = performance.now();
    if (count === 0) first = last;
    count++;
    if (id !== undefined) write(await stream.add(id));
  }
  write(`${await stream.end()}\n`);
  const speed = count > 1 ? `, ${(((count - 1) * 1000) / (last - first)).toFixed(1)} tokens/s` : '';
  say(`${ids.length} tokens read in ${(first - start).toFixed(0)} ms, ${count} written${speed}`);
}

/** As one turn of a conversation where the model has a template for that, which writes special tokens itself. */
async function encode(
  tokenizer: tokenizers.Tokenizer,
  { folder, generator: { chatTemplate: template, specialTokens } }: GeneratorModel,
  prompt: string,
): Promise<number[]> {
  if (template === null) return (await tokenizer.encode(prompt)).getIds();
  const messages = [{ role: 'user', content: prompt }];
  let text: string;
  try {
    text = chatTemplate(template, specialTokens).render({ messages }, Number.POSITIVE_INFINITY);
  } catch (error) {
    throw new UserError(
      `${folder}: the chat template fails: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds();
}
