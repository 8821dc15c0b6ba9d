/** Distils a model that ranks into vectors of words: a first stage where the order of words matters little. */
import { ShoalError, type TextItem } from '@shoal/contracts';
import { weightBytes } from '@shoal/models';
import { saveModel } from '@shoal/onnx';
import type { Answer } from '../teacher/ask-pages.js';
import type { Candidate, Context, Made, Method, Subject } from '../types.js';
import { part } from './progress.js';
import { rowsToRank } from './questions.js';
import { rankGraph } from './rank-graph.js';
import { fitRankHead } from './rank-head.js';
import { refusal } from './static-graph.js';
import { openTeacher } from './teacher.js';
import { wordTable } from './word-table.js';

const MOST_PAIRS = 30_000;

export const staticRanker: Method = {
  name: 'static-ranker',
  description: 'vectors of words, and the words in common, in place of a model that ranks',
  tasks: ['rerank'],

  async plan({ original }: Subject) {
    if (original.text?.pairTemplate != null)
      return 'it is asked in a text of its own, in which query and document are not apart';
    const reason = refusal(original);
    if (reason !== null) return reason;
    // A pair of 60 tokens takes 90 MB about 8 ms.
    const seconds = Math.round(30 + (8 * MOST_PAIRS * (await weightBytes(original))) / 9e7 / 1000);
    return [{ method: 'static-ranker', variant: 'static-ranker', settings: { pairs: MOST_PAIRS }, seconds }];
  },

  async make(
    candidate: Candidate,
    { original, path: file, data }: Subject,
    path: string,
    context: Context,
  ): Promise<Made> {
    const questions = rowsToRank(data.calibration, Number(candidate.settings.pairs), data.file);
    const teacher = await openTeacher(original, context);
    try {
      const words = wordTable(file, teacher.vocabulary);
      if (words === null) {
        throw new ShoalError('model_invalid', `${original.name}: its graph has no table with a vector for each token`);
      }
      const items = new Array<TextItem>(questions.length);
      const scores = new Float64Array(questions.length);
      const learn = ({ place, item, output }: Answer) => {
        if (output.kind !== 'score') throw new ShoalError('internal_error', `a pair was answered with ${output.kind}`);
        items[place] = item;
        scores[place] = output.score;
      };
      await teacher.ask(questions, learn, {
        parameters: { function_to_apply: 'none' },
        onProgress: part(context, 0, 0.8),
      });
      context.say(`${questions.length} pairs answered by the teacher`);
      const head = fitRankHead(items, scores, words, teacher.vocabulary, context.random);
      saveModel(rankGraph(original, head), path);
      return {
        method: `static ranker, fitted to ${questions.length} pairs, ridge ${head.ridge}`,
        notes: [`${head.columns} directions of word vectors, and the words in common`],
      };
    } finally {
      await teacher.close();
    }
  },
};
