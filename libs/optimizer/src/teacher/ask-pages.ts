/** Asks for pages: from the disk what is there, from a source what is not, which is kept then. */
import type { TextItem, WireOutput } from '@shoal/contracts';
import type { ModelFace } from '@shoal/models';
import { outputsOfRows, rowsOfOutputs } from './answer-rows.js';
import type { KeptPages } from './kept-pages.js';
import { encodePages, type PlacedPage, rangesOf } from './pages.js';
import type { Answered, AnswerSource, Question } from './types.js';

export interface Answer {
  /** Of the question, among all. */
  readonly place: number;
  /** Its tokens, prompts and special ones included, cut to the longest text that the model takes. */
  readonly item: TextItem;
  readonly output: WireOutput;
}

export interface Asking {
  readonly face: ModelFace;
  readonly source: AnswerSource;
  /** Undefined: answers are not looked for on the disk, nor kept. */
  readonly kept: KeptPages | undefined;
  /** Part of each page's key. */
  readonly print: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly now: () => number;
  readonly onAnswered: (progress: Answered) => void;
}

/** `use` gets the answers one by one, in any order, each once. @throws what the source throws, and what writing throws */
export async function askPages(
  questions: readonly Question[],
  use: (answer: Answer) => void,
  asking: Asking,
): Promise<void> {
  const { face, parameters, print, now, onAnswered } = asking;
  const started = now();
  let [done, computed] = [0, 0];
  const one = async (page: PlacedPage) => {
    const wasThere = await answerPage(page, use, asking);
    done += page.questions.length;
    if (!wasThere) computed += page.questions.length;
    const seconds = (now() - started) / 1000;
    onAnswered({ done, total: questions.length, perSecond: seconds > 0 ? computed / seconds : 0 });
  };
  const ranges = rangesOf(questions).values();
  const lane = async () => {
    for (const { from, to } of ranges) {
      for (const page of await encodePages(face, questions.slice(from, to), parameters, print, from)) await one(page);
    }
  };
  await Promise.all(Array.from({ length: asking.source.width }, lane));
}

/** True where the answers were on the disk. */
async function answerPage(page: PlacedPage, use: (answer: Answer) => void, { source, kept }: Asking): Promise<boolean> {
  const { key, items, from } = page;
  const give = (outputs: readonly WireOutput[]) => {
    for (const [n, output] of outputs.entries()) use({ place: from + n, item: items[n]!, output });
  };
  const known = kept?.read(key, items.length);
  if (known !== undefined) {
    give(outputsOfRows(known, items));
    return true;
  }
  const { outputs, taken } = await source.answer(page);
  kept?.write(key, rowsOfOutputs(outputs));
  give(outputs);
  taken();
  return false;
}
