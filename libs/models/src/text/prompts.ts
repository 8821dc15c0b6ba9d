/** Prompts of sentence-transformers: texts that go before those of a request, chosen by name. */
import type { TextInput } from '@shoal/contracts';
import { throwFaults } from '../faults.js';
import type { TextDetails } from '../types.js';
import type { TextRow } from './encode-texts.js';
import type { TextTokenizer } from './tokenizer.js';

/**
 * The prompt that `prompt_name` names: the model's default where it is left out, none where it is empty. Throws
 * `invalid_request` with the names there are.
 */
export function promptOf({ prompts }: TextDetails, name: string | undefined): string {
  const wanted = name ?? prompts.standard ?? '';
  if (wanted === '') return '';
  const text = prompts.texts.get(wanted);
  if (text !== undefined) return text;
  const names = [...prompts.texts.keys()];
  const message =
    names.length === 0 ? 'this model has no prompts: leave it out' : `this model's prompts are ${names.join(', ')}`;
  throwFaults([{ path: 'parameters.prompt_name', message }]);
  return '';
}

/** `prompt` before each text, and before the first of a pair. Token ids are used as they are. */
export function withPrompt(rows: readonly TextRow[], prompt: string): readonly TextRow[] {
  if (prompt === '') return rows;
  return rows.map(({ path, input }) => ({ path, input: prompted(input, prompt) }));
}

function prompted(input: TextInput, prompt: string): TextInput {
  if (typeof input === 'string') return prompt + input;
  return 'tokens' in input ? input : { ...input, text: prompt + input.text };
}

/**
 * Tokens that stand before those of a text behind `prompt`: what the tokenizer puts before a text, and the prompt's own. A
 * special token at the end is the text's.
 */
export async function promptLength(tokenizer: TextTokenizer, prompt: string): Promise<number> {
  if (prompt === '') return 0;
  const encoding = await tokenizer.encode(prompt, false);
  const length = encoding.getLength();
  return encoding.getSpecialTokensMask().at(-1) === 1 ? length - 1 : length;
}
