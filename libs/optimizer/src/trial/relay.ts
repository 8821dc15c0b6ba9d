/** Passes on what a trial asks of the teacher elsewhere, and what comes back. */
import { rowsOfOutputs } from '../teacher/answer-rows.js';
import type { AskedPage, GivenElsewhere } from '../teacher/types.js';
import type { AnswersMessage, GivenMessage } from './messages.js';

/** Who is asked. @throws ShoalError, which ends the trial and the run; the signal's reason */
export type AskElsewhere = (page: AskedPage, signal: AbortSignal) => Promise<GivenElsewhere>;

export interface RelayContext {
  readonly ask: AskElsewhere;
  /** Of the run: what was taken is forgotten also when the trial has ended. */
  readonly signal: AbortSignal;
  readonly send: (message: GivenMessage) => void;
  readonly onError: (error: unknown) => void;
  /** Whether the trial waits for any answers, so that its own time stands still. */
  readonly onWaiting: (waits: boolean) => void;
}

export class Relay {
  readonly #context: RelayContext;
  readonly #ended = new AbortController();
  readonly #given = new Map<number, { readonly key: string; readonly given: GivenElsewhere }>();
  #waiting = 0;
  /** What is forgotten at the moment, by the keys of its pages: whoever asks for that page again comes after it, nobody else does. */
  readonly #forgetting = new Map<string, Promise<void>>();

  constructor(context: RelayContext) {
    this.#context = context;
  }

  take(message: Exclude<AnswersMessage, { kind: 'answered' }>): void {
    const { number } = message;
    if (message.kind === 'ask') {
      this.#answer(number, message.page).catch(this.#context.onError);
      return;
    }
    const had = this.#given.get(number);
    this.#given.delete(number);
    if (had !== undefined) this.#forget(had.key, had.given);
  }

  /** The trial is over: nobody waits for an answer any more. Resolves when what it has taken is forgotten. */
  async end(): Promise<void> {
    this.#ended.abort();
    await Promise.all(this.#forgetting.values());
  }

  #forget(key: string, given: GivenElsewhere): void {
    const forgotten = given.taken(this.#context.signal).finally(() => {
      if (this.#forgetting.get(key) === forgotten) this.#forgetting.delete(key);
    });
    this.#forgetting.set(key, forgotten);
  }

  async #answer(number: number, page: AskedPage): Promise<void> {
    const { ask, signal, send, onWaiting } = this.#context;
    this.#waiting += 1;
    onWaiting(true);
    await this.#forgetting.get(page.key);
    const given = await ask(page, AbortSignal.any([signal, this.#ended.signal]));
    this.#given.set(number, { key: page.key, given });
    send({ kind: 'given', number, rows: rowsOfOutputs(given.outputs) });
    this.#waiting -= 1;
    onWaiting(this.#waiting > 0);
  }
}
