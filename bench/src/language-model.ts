/** The language model that methods are measured with. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './root.js';

/** The checkpoint of the bundled one where somebody has put it there, else that of its draft. */
const CHECKPOINTS = [
  join(ROOT, '.shoal/bench/prune/checkpoints/wordnet-lm'),
  join(ROOT, 'test/fixtures/checkpoints/wordnet-lm-draft'),
];

/** Its folder; texts that it was not trained with are its `eval.jsonl`. */
export function languageModel(): string {
  return CHECKPOINTS.find((folder) => existsSync(join(folder, 'model.safetensors')))!;
}
