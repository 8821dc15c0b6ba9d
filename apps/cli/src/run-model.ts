/** `shoal run`: a model that generates text, in this process and in the terminal. */
import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import { ShoalError } from '@shoal/contracts';
import { UserError } from '@shoal/tools/user-error';
import { Chat } from './run-model-chat.js';
import { runChatCommand } from './run-model-commands.js';
import { findModel } from './run-model-folder.js';
import type { RunSettings } from './run-model-settings.js';
import { type OpenOptions, TextModel } from './run-model-text.js';

export interface RunRequest extends Omit<OpenOptions, 'version'> {
  /** A model folder, or a name of one in `SHOAL_MODELS_DIR` as jobs give it. */
  readonly model: string;
  /** Undefined: every line of the standard input is one. */
  readonly prompt: string | undefined;
  readonly settings: RunSettings;
}

export interface Terminal {
  /** Prompts, one a line. */
  readonly input: NodeJS.ReadableStream;
  /** Shows what is typed; undefined where nobody types. */
  readonly screen: NodeJS.WritableStream | undefined;
  /** The answer, as it grows. */
  readonly write: (text: string) => void;
  /** A line about the run. */
  readonly say: (line: string) => void;
  /** Ends the program as Ctrl-C would have. */
  readonly interrupt: () => void;
}

const TERMINAL: Terminal = {
  input: process.stdin,
  screen: process.stdin.isTTY ? process.stderr : undefined,
  write: (text) => process.stdout.write(text),
  // Tells what the program says from what the model does.
  say: (line) => console.error(process.stderr.isTTY && process.stderr.hasColors() ? styleText('dim', line) : line),
  interrupt: () => process.kill(process.pid, 'SIGINT'),
};

/** Throws a UserError that says what is wrong with the model or the prompt. */
export async function runModel(request: RunRequest, models: string, terminal: Terminal = TERMINAL): Promise<void> {
  const { prompt, settings } = request;
  const { write, say, screen, input } = terminal;
  try {
    const { folder, ...asked } = await findModel(request.model, request.variant, models);
    const model = await TextModel.open(folder, { ...asked, context: request.context });
    try {
      // Nothing interrupts these but the end of the process.
      const { signal } = new AbortController();
      const chat = new Chat(model, settings, say);
      if (prompt !== undefined) await chat.ask(prompt, { write, signal });
      else if (screen !== undefined) await converse(chat, { ...terminal, screen });
      else {
        for await (const line of createInterface({ input })) {
          if (line.trim() !== '') await new Chat(model, settings, say).ask(line, { write, signal });
        }
      }
    } finally {
      await model.close();
    }
  } catch (error) {
    throw error instanceof ShoalError ? new UserError(error.message) : error;
  }
}

/** Turns of a conversation and commands, until the input ends. */
async function converse(
  chat: Chat,
  { input, screen, write, say, interrupt }: Terminal & { readonly screen: NodeJS.WritableStream },
): Promise<void> {
  const { name, context, chats } = chat.model;
  say(`${name}, with a context of ${context} tokens. /help tells more; Ctrl-D ends.`);
  if (!chats) say('It has no chat template: it goes on with each line as it is, and remembers none.');
  const lines = createInterface({ input, output: screen, prompt: '> ' });
  let answering: AbortController | undefined;
  // In a terminal readline takes Ctrl-C for itself.
  lines.on('SIGINT', () => {
    if (answering === undefined || answering.signal.aborted) interrupt();
    else answering.abort();
  });
  try {
    lines.prompt();
    for await (const line of lines) {
      answering = new AbortController();
      try {
        if (line.startsWith('/')) say(runChatCommand(chat, line));
        else if (line.trim() !== '') await chat.ask(line, { write, signal: answering.signal });
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        say(error.message);
      }
      answering = undefined;
      lines.prompt();
    }
    // Behind the prompt that was not answered.
    say('');
  } finally {
    lines.close();
  }
}
