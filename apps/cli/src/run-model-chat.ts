/** A conversation with a model in the terminal: its turns so far, how answers are made, and what is said of each. */
import { type ChatMessage, ShoalError } from '@shoal/contracts';
import { UserError } from '@shoal/tools/user-error';
import type { RunSettings } from './run-model-settings.js';
import { type Answered, type Prompt, type Reader, refusalOf, type TextModel } from './run-model-text.js';

/** Part of the context that older turns have to leave to an answer. */
const SHARE_OF_ANSWERS = 1 / 4;
/** Part of it that they are cut to where they do not: a prompt that begins otherwise is read anew, and not for each question. */
const SHARE_AFTER_CUT = 1 / 2;
/** Of fewer tokens the speed is chance. */
const TOKENS_OF_SPEED = 8;

export class Chat {
  readonly model: TextModel;
  readonly #say: (line: string) => void;
  #settings: RunSettings = {};
  /** Questions and their answers, in turn. */
  #turns: readonly ChatMessage[] = [];

  /** Throws a UserError where the model knows no system message. */
  constructor(model: TextModel, settings: RunSettings, say: (line: string) => void) {
    this.model = model;
    this.#say = say;
    this.settings = settings;
  }

  get settings(): RunSettings {
    return this.#settings;
  }

  set settings(settings: RunSettings) {
    if (settings.system !== undefined && !this.model.chats) {
      throw new UserError('system is for models with a chat template; this one goes on with a text as it is.');
    }
    this.#settings = settings;
  }

  /** All turns are forgotten. */
  clear(): void {
    this.#turns = [];
  }

  /** Throws a UserError where the prompt is refused, and as `TextModel.answer`. */
  async ask(text: string, { write, signal }: Reader): Promise<void> {
    const prompt = await this.#prompt(text).catch((error: unknown) => {
      throw refusalOf(error);
    });
    const answered = await this.model.answer(prompt, { write, signal });
    write('\n');
    this.#say(`${summaryOf(prompt, answered)}${this.#endOf(prompt, answered)}`);
    // A question that was taken back before there was an answer is none.
    if (answered.end === 'interrupted' && answered.text === '') return;
    if (this.model.chats) this.#turns = [...this.#turns, asked(text), { role: 'assistant', content: answered.text }];
  }

  /** All turns that there is room for. */
  async #prompt(text: string): Promise<Prompt> {
    const { model, settings } = this;
    if (!model.chats) return model.encode(text, settings);
    const system = settings.system === undefined ? [] : [{ role: 'system', content: settings.system }];
    const room = Math.min(settings.max_tokens ?? model.context, Math.ceil(model.context * SHARE_OF_ANSWERS));
    let most = model.context - room;
    for (let turns = this.#turns; ; turns = turns.slice(2)) {
      const older = turns.length > 0;
      const messages = [...system, ...turns, asked(text)];
      const prompt = await model.encode({ messages }, settings).catch((error: unknown) => {
        if (older && error instanceof ShoalError && error.code === 'input_too_long') return undefined;
        throw error;
      });
      if (prompt !== undefined && (!older || prompt.item.ids.length <= most)) {
        this.#tellForgotten((this.#turns.length - turns.length) / 2);
        this.#turns = turns;
        return prompt;
      }
      most = Math.min(most, Math.floor(model.context * SHARE_AFTER_CUT));
    }
  }

  #tellForgotten(count: number): void {
    if (count === 0) return;
    const what = count === 1 ? 'the oldest turn is' : `the ${count} oldest turns are`;
    this.#say(`The context of ${this.model.context} tokens is full: ${what} forgotten. /clear forgets all.`);
  }

  #endOf({ settings }: Prompt, { end }: Answered): string {
    if (end === 'interrupted') return '; interrupted';
    if (end === 'length') return `; cut off at max-tokens, ${settings.max_tokens}`;
    return end === 'full' ? `; cut off: the context of ${this.model.context} tokens is full` : '';
  }
}

function asked(content: string): ChatMessage {
  return { role: 'user', content };
}

function summaryOf({ item }: Prompt, { tokens, cached, firstMs, latestMs }: Answered): string {
  const read = `${item.ids.length} tokens read (${cached} cached)`;
  if (tokens === 0) return `${read}, none written`;
  const rate = ((tokens - 1) * 1000) / (latestMs - firstMs);
  const speed = tokens < TOKENS_OF_SPEED ? '' : `, ${rate.toFixed(1)} tokens/s`;
  return `${read}, first token after ${firstMs.toFixed(0)} ms, ${tokens} written${speed}`;
}
