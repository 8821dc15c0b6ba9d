/** SentencePiece's byte-pair encoding as Hugging Face's: pieces with scores become merges in the order of their scores. */
import { invalid } from '../invalid.js';
import { NORMAL, USER_DEFINED, type Vocabulary } from './tokens.js';

/**
 * Squares of the lengths of all pieces, added up: each is cut in two at each of its characters. Vocabularies of 262,144 pieces come
 * to some ten millions.
 */
const MAX_CUTS = 2 ** 29;

/**
 * SentencePiece joins the two neighbours whose piece has the highest score; a merge list is the same where every way to make a
 * piece of two others is a merge, and those of higher scores come first.
 *
 * @throws ShoalError `model_invalid` where there are no scores, or pieces that it would take minutes to cut up
 */
export function pieceMerges({ texts, types, scores }: Vocabulary): readonly (readonly [string, string])[] {
  if (scores === undefined) throw invalid('tokenizer.ggml.scores is missing in the metadata');
  const isJoined = (text: string, id: number) =>
    types[id] === NORMAL || (types[id] === USER_DEFINED && text.includes('▁'));
  const pieces = texts
    .map((text, id) => ({ text, id, score: scores[id]! }))
    .filter(({ text, id }) => isJoined(text, id));
  if (pieces.reduce((sum, { text }) => sum + text.length ** 2, 0) > MAX_CUTS)
    throw invalid('tokenizer.ggml.tokens: the tokens together are longer than those of any model');
  const known = new Set(pieces.map(({ text }) => text));
  return pieces
    .sort((a, b) => b.score - a.score || a.id - b.id)
    .flatMap(({ text }) => splits(text).filter(([left, right]) => known.has(left) && known.has(right)));
}

/** Longer left parts first: neighbours are joined from the left. */
function splits(text: string): [string, string][] {
  const characters = Array.from(text);
  const found: [string, string][] = [];
  for (let at = text.length, n = characters.length - 1; n > 0; n--) {
    at -= characters[n]!.length;
    found.push([text.slice(0, at), text.slice(at)]);
  }
  return found;
}

/** What stands around the model. `prefix`: a text begins with a space, so that its first word is like others. */
export function pieceTokenizer(prefix: boolean): { readonly normalizer: object; readonly decoder: object } {
  const bar = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const space = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
  return {
    normalizer: prefix ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, bar] } : bar,
    decoder: {
      type: 'Sequence',
      decoders: [space, { type: 'ByteFallback' }, { type: 'Fuse' }, ...(prefix ? [strip] : [])],
    },
  };
}
