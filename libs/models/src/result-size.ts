/** How much of a stored result there is to show. */
import type { JobRecord, WireLogprobs, WireOutput } from '@shoal/contracts';
import { wireBytes } from './tensors/join.js';

/** From here on a result is shown piece by piece. */
const LARGE_BYTES = 64 * 1024;
/** One class, score or entity beside its text. */
const VALUE_BYTES = 16;
/** A token's text, and a token with how likely it was. */
const TOKEN_BYTES = 4;
const LIKELY_BYTES = 64;

/** True where showing the job's results takes memory and time that others would miss. */
export function isLarge({ results }: Pick<JobRecord, 'results'>): boolean {
  return isLargeOutput(results.map((result) => result?.output));
}

export function isLargeOutput(outputs: Iterable<WireOutput | undefined>): boolean {
  let bytes = 0;
  for (const output of outputs) {
    if (output !== undefined) bytes += bytesOf(output);
    if (bytes > LARGE_BYTES) return true;
  }
  return false;
}

/** Each token is shown with its alternatives, their texts and bytes. */
function likelyBytes(logprobs: WireLogprobs | undefined): number {
  return logprobs === undefined ? 0 : LIKELY_BYTES * (logprobs.values.length + logprobs.topValues.length);
}

function bytesOf(output: WireOutput): number {
  switch (output.kind) {
    case 'vector':
      return output.values.byteLength;
    case 'tensors':
      return Object.values(output.tensors).reduce((sum, tensor) => sum + wireBytes(tensor), 0);
    case 'scores':
      return output.scores.length * VALUE_BYTES;
    case 'entities':
      return output.entities.reduce((sum, { word }) => sum + VALUE_BYTES + word.length, 0);
    case 'generation': {
      const { text, promptIds, logprobs, promptLogprobs } = output;
      const echoed = TOKEN_BYTES * (promptIds?.length ?? 0);
      return echoed + text.length + likelyBytes(logprobs) + likelyBytes(promptLogprobs);
    }
    case 'score':
      return VALUE_BYTES + ('text' in output ? String(output.text).length : 0);
  }
}
