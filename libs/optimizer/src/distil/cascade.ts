/** A head answers what it is sure of, and the classifier the rest: faster by the share of texts that need no classifier. */
import { ShoalError } from '@shoal/contracts';
import { type ScoreFunction, weightBytes } from '@shoal/models';
import { saveModel } from '@shoal/onnx';
import { argmax } from '../linear/argmax.js';
import { scoresOf } from '../linear/soft-regression.js';
import type { Candidate, Context, Made, Method, Subject } from '../types.js';
import { cascadeGraph } from './cascade-graph.js';
import { calibrate, confidenceOf, type Judged } from './confidence.js';
import type { Head } from './fit-head.js';
import { classesOf } from './head-lesson.js';
import { type Choice, learnHead, MOST_TEXTS, refusalOfHead, secondsOfHead } from './static-head.js';
import { integerTable } from './table-graph.js';
import { openTeacher } from './teacher.js';
import { featureRows } from './text-features.js';

/** What the student's answers may lose, as a share of all texts. */
const BUDGETS = [0.01, 0.005, 0.02] as const;

export const cascade: Method = {
  name: 'cascade',
  description: 'a head of token weights first, and the classifier for texts that it is unsure of',
  tasks: ['text-classification'],

  async plan({ original }: Subject) {
    const reason = refusalOfHead(original);
    if (reason !== null) return reason;
    if (original.text?.scoreFunction === 'none')
      return 'its scores are no probabilities: nothing says how sure they are';
    const seconds = secondsOfHead(await weightBytes(original));
    return BUDGETS.map((budget) => ({
      ...{ method: 'cascade', variant: `cascade${Math.round(1000 * budget)}`, seconds },
      settings: { texts: MOST_TEXTS, budget },
    }));
  },

  async make(
    candidate: Candidate,
    { original, path: file, data }: Subject,
    path: string,
    context: Context,
  ): Promise<Made> {
    const budget = Number(candidate.settings.budget);
    const teacher = await openTeacher(original, context);
    try {
      const { head, choice, texts } = await learnHead(teacher, data, Number(candidate.settings.texts), context);
      const { link } = choice.answers;
      const found = calibrate(judge(head, choice, link), budget);
      if (found === null || found.asked === 1) {
        const message = `at a loss of ${100 * budget} %, the student may answer none of the ${choice.right.length} texts for choosing`;
        throw new ShoalError('invalid_request', `${data.file}: ${message}: allow more, or give more texts`);
      }
      const { threshold, asked, bound } = found;
      if (asked === 0) {
        const message = `at a loss of ${100 * budget} %, the student may answer all of the ${choice.right.length} texts for choosing alone`;
        throw new ShoalError('invalid_request', `${data.file}: ${message}: that is what static-head makes`);
      }
      saveModel(cascadeGraph(original, file, head, link, threshold), path);
      return {
        method: `cascade, head fitted to ${texts} texts, teacher below a confidence of ${threshold.toFixed(3)}`,
        notes: [
          `the teacher answers ${(100 * asked).toFixed(1)} % of the texts for choosing, on which at most ${(100 * bound).toFixed(2)} % is lost; they have chosen the head as well: what it loses on others is the verdict’s to say`,
          'the output escalated of its graph tells which texts the teacher answered',
        ],
      };
    } finally {
      await teacher.close();
    }
  },
};

/** The texts for choosing, as the student's graph would answer them: by weights of 8 bits. */
function judge(head: Head, { answers, right, labelled }: Choice, link: ScoreFunction): Judged[] {
  const { classes } = answers;
  const theirs = classesOf(answers.scores, classes);
  const { integers, scales } = integerTable(head.weights, classes);
  const weights = Float64Array.from(integers, (integer, at) => integer * scales[Math.floor(at / classes)]!);
  const logits = scoresOf(featureRows(answers.items, head.space), { weights, bias: head.bias });
  return right.map((wanted, n) => {
    const own = logits.subarray(n * classes, (n + 1) * classes);
    const found = argmax(own);
    const loss = labelled ? Number(theirs[n] === wanted) - Number(found === wanted) : Number(found !== theirs[n]);
    return { confidence: confidenceOf(link, own), loss };
  });
}
