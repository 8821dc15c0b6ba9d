/** Texts as a model that generates text reads them. */
import { join } from 'node:path';
import tokenizers from 'tokenizers';

/** Cuts texts into the tokens of a model's folder, with no special ones but those that stand in the text. */
export function tokenIdsOf(folder: string): (text: string) => Promise<number[]> {
  const tokenizer = tokenizers.Tokenizer.fromFile(join(folder, 'tokenizer.json'));
  return async (text) => Array.from((await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds());
}
