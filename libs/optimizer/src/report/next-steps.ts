/** What a person may do next, from how a run ended. */
import type { Row, RunState } from './types.js';
import { lossOf } from './words.js';

export function nextSteps({ model, task, rows, state, allowed, data }: RunState): readonly string[] {
  const [name = model] = model.split('@');
  const of = (...outcomes: readonly string[]) => rows.filter(({ outcome }) => outcomes.includes(outcome));
  const kept = of('passed');
  // Lines of two kinds make no file.
  const isLabelled = task === 'text-classification' && data.what === 'labelled texts';
  const withoutLabels = isLabelled ? ' A file without any labels does as well: it is judged by agreement.' : '';
  const steps: string[] = [];
  if (state === 'stopped') steps.push('The run was stopped: the same command goes on where it was.');
  for (const { candidate, verdict } of kept) {
    steps.push(
      `${candidate.variant} is served as ${name}:${candidate.variant}${byLoss(verdict)}; all others get what they got before.`,
    );
  }
  for (const { candidate } of of('forced')) {
    steps.push(
      `${candidate.variant} was kept although it did not pass: nobody gets it who does not ask for ${name}:${candidate.variant}.`,
    );
  }
  if (of('left_out').length > 0) {
    steps.push('Time did not suffice for all: the same command with a larger --time goes on with what is left.');
  }
  const reasons = of('refused').map(({ reason = '' }) => reason);
  if (reasons.some((reason) => reason.includes('too few texts'))) {
    steps.push(`Give more ${data.what} where there were too few: half of a file is for the verdict.${withoutLabels}`);
  }
  if (reasons.some((reason) => reason.includes('is allowed') && !reason.includes('too few'))) {
    steps.push(
      `Where a loss of more than ${lossOf(allowed)} may be borne, --max-loss says so: what was made and measured stays, and only what the new limit lets through is judged.`,
    );
  }
  if (of('crashed', 'failed').length > 0) {
    steps.push(
      'What crashed or failed is not tried again with the same model, data and versions; deleting the journal forgets it all.',
    );
  }
  if (kept.length === 0 && state === 'ended' && rows.length > 0 && steps.length === 0) {
    steps.push('Nothing that was tried is faster within the loss: the original is the best there is on this machine.');
  }
  return steps;
}

/** Rounded up to what allows the bound; 0 would allow nothing. */
function byLoss(verdict: Row['verdict']): string {
  if (verdict === undefined) return '';
  const least = Math.max(1, Math.ceil(1e4 * verdict.loss.bound)) / 1e4;
  return `, and once a worker has loaded it to requests with max_accuracy_loss of ${least} or more as well`;
}
