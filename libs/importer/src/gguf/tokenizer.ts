/** tokenizer.json, as Hugging Face's tokenizers read it, from the metadata of a GGUF file. */
import { invalid } from '../invalid.js';
import { type Metadata, needed } from './metadata.js';
import { preTokenizerOf } from './pre-tokenizers.js';
import { pieceMerges, pieceTokenizer } from './sentencepiece.js';
import { addedTokens, type Vocabulary } from './tokens.js';

const KIND = 'tokenizer.ggml.model';
const MERGES = 'tokenizer.ggml.merges';

/** The parts that differ between kinds of tokenizers. */
interface Kind {
  readonly normalizer: object | null;
  readonly preTokenizer: object | null;
  readonly decoder: object;
  readonly model: object;
  readonly addBos: boolean;
  /** Whether a token that the user of the model has defined is found before others; else merges make it. */
  readonly isAdded: (text: string) => boolean;
  /** Whether a special token takes the spaces behind it. */
  readonly takesSpace: (text: string) => boolean;
}

/** @throws ShoalError `model_invalid` naming the key that is missing, wrong, or of a tokenizer that is not supported */
export function tokenizerOf(metadata: Metadata, vocabulary: Vocabulary): object {
  const kind = kindOf(metadata, vocabulary);
  const { normalizer, preTokenizer, decoder, model } = kind;
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(vocabulary, kind),
    normalizer,
    pre_tokenizer: preTokenizer,
    post_processor: template(vocabulary, {
      bos: metadata.flag('tokenizer.ggml.add_bos_token') ?? kind.addBos,
      eos: metadata.flag('tokenizer.ggml.add_eos_token') ?? false,
    }),
    decoder,
    model,
  };
}

function kindOf(metadata: Metadata, vocabulary: Vocabulary): Kind {
  const name = needed(metadata.text(KIND), KIND);
  if (name === 'gpt2') return byteLevel(metadata, vocabulary);
  if (name === 'llama') return pieces(metadata, vocabulary);
  throw invalid(
    `${KIND} in the metadata is ${JSON.stringify(name.slice(0, 100))}; gpt2 and llama are supported: import the checkpoint of the model`,
  );
}

function byteLevel(metadata: Metadata, vocabulary: Vocabulary): Kind {
  const { normalizer, preTokenizer, ignoreMerges, addBos } = preTokenizerOf(metadata.text('tokenizer.ggml.pre'));
  const merges = needed(metadata.texts(MERGES), MERGES).map((merge): readonly [string, string] => {
    const space = merge.indexOf(' ', 1);
    return [merge.slice(0, Math.max(space, 0)), merge.slice(space + 1)];
  });
  const known = new Set(vocabulary.texts);
  const wrong = merges.findIndex(([left, right]) => ![left, right, left + right].every((text) => known.has(text)));
  if (wrong >= 0) throw invalid(`${MERGES}: item ${wrong} is not made of two tokens that make a third one`);
  return {
    ...{ normalizer, preTokenizer, addBos },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: bpe(vocabulary, merges, { ignore_merges: ignoreMerges }),
    isAdded: () => true,
    takesSpace: () => false,
  };
}

function pieces(metadata: Metadata, vocabulary: Vocabulary): Kind {
  const prefix = metadata.flag('tokenizer.ggml.add_space_prefix') ?? true;
  const { texts, unknown } = vocabulary;
  return {
    ...pieceTokenizer(prefix),
    preTokenizer: null,
    addBos: true,
    model: bpe(vocabulary, pieceMerges(vocabulary), {
      unk_token: unknown === undefined ? null : texts[unknown],
      fuse_unk: true,
      byte_fallback: true,
    }),
    // Runs of spaces are ▁ to the normaliser only.
    isAdded: (text) => !text.includes('▁'),
    // Not in the metadata: the tokenizer of Phi-3 has it for all but those of Llama, which it is made from.
    takesSpace: (text) =>
      metadata.text('general.architecture') === 'phi3' && !['<unk>', '<s>', '<|endoftext|>'].includes(text),
  };
}

function bpe({ texts }: Vocabulary, merges: readonly (readonly [string, string])[], more: object): object {
  return {
    ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
    ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false, ...more },
    vocab: Object.fromEntries(texts.map((text, id) => [text, id])),
    merges,
  };
}

/** What stands before and behind each text. */
function template(
  { texts, bos, eos }: Vocabulary,
  adds: { readonly bos: boolean; readonly eos: boolean },
): object | null {
  const begin = adds.bos && bos !== undefined ? [bos] : [];
  const end = adds.eos && eos !== undefined ? [eos] : [];
  if (begin.length + end.length === 0) return null;
  const special = (type: number) => (id: number) => ({ SpecialToken: { id: texts[id], type_id: type } });
  const around = (sequence: 'A' | 'B', type: number) => [
    ...begin.map(special(type)),
    { Sequence: { id: sequence, type_id: type } },
    ...end.map(special(type)),
  ];
  return {
    type: 'TemplateProcessing',
    single: around('A', 0),
    pair: [...around('A', 0), ...around('B', 1)],
    special_tokens: Object.fromEntries(
      [...begin, ...end].map((id) => [texts[id], { id: texts[id], ids: [id], tokens: [texts[id]] }]),
    ),
  };
}
