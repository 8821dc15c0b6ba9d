/** GGUF files that a model was split into. */
import { invalid } from '../invalid.js';

/** What is said of one of them. */
export function splitGguf(parts: number): Error {
  return invalid(
    `the file is one of ${parts} that a model was split into: put them together (llama-gguf-split --merge)`,
  );
}
