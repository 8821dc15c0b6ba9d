/** The folder's own shoal.json. */
import { describeIssue, ShoalJson } from '@shoal/contracts';
import { fileIn } from '../checkpoint.js';
import { invalid } from '../invalid.js';
import { readJson } from './source-files.js';

/** Without any field where there is none. @throws ShoalError `model_invalid` naming the field that is wrong */
export function readShoal(folder: string): ShoalJson {
  if (!fileIn(folder, 'shoal.json')) return {};
  const parsed = ShoalJson.safeParse(readJson(folder, 'shoal.json'), { error: describeIssue });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalid(`shoal.json: ${issue?.path.join('.')}: ${issue?.message}`);
}
