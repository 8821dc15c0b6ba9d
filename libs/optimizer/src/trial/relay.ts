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
  readonly #given = new Map<number, GivenElsewhere>();
  #waiting = 0;
  /** What is forgotten at the moment: whoever asks for it again comes after that. */
  #forgetting: Promise<void> = Promise.resolve();

  constructor(context: RelayContext) {
    this.#context = context;
  }

  take(message: Exclude<AnswersMessage, { kind: 'answered' }>): void {
    const { number } = message;
    if (message.kind === 'ask') {
      this.#answer(number, message.page).catch(this.#context.onError);
      return;
    }
    const given = this.#given.get(number);
    this.#given.delete(number);
    this.#forgetting = this.#forgetting.then(() => given?.taken(this.#context.signal));
  }

  /** The trial is over: nobody waits for an answer any more. Resolves when what it has taken is forgotten. */
  async end(): Promise<void> {
    this.#ended.abort();
    await this.#forgetting;
  }

  async #answer(number: number, page: AskedPage): Promise<void> {
    const { ask, signal, send, onWaiting } = this.#context;
    this.#waiting += 1;
    onWaiting(true);
    await this.#forgetting;
    const given = await ask(page, AbortSignal.any([signal, this.#ended.signal]));
    this.#given.set(number, given);
    send({ kind: 'given', number, rows: rowsOfOutputs(given.outputs) });
    this.#waiting -= 1;
    onWaiting(this.#waiting > 0);
  }
}
