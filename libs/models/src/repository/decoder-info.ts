/** What an engine has to know of a decoder, kept in the metadata of its model. */
import { readSignature } from '@shoal/onnx';
import { z } from 'zod';
import { invalid } from './files.js';

const KEY = 'shoal.decoder';

/** Of the inputs and outputs that graph.ts describes: a graph of another one is imported again. */
export const GRAPH_VERSION = 2;

const count = z.int().min(1);

const DecoderInfo = z.object({
  graph: z.literal(GRAPH_VERSION),
  layers: count,
  kvHeads: count,
  headDim: count,
  vocabulary: count,
  /** The longest text, prompt and answer together, in tokens. */
  maxContext: count,
  /** How many tokens, itself included, a token sees at most; `maxContext` where a layer sees all. */
  window: count,
  /** Keys and values of texts of more tokens are others from the first token on (longrope); null: they never are. */
  recomputedBeyond: count.nullable().default(null),
  /** Any of them ends a text. */
  eosTokenIds: z.array(z.int().min(0)),
});

export type DecoderInfo = Readonly<z.output<typeof DecoderInfo>>;

export function writeDecoderInfo(metadata: Map<string, string>, info: DecoderInfo): void {
  metadata.set(KEY, JSON.stringify(info));
}

/** Undefined where the model is none of Shoal's decoders. @throws ShoalError `model_invalid` */
export function decoderInfoOf({
  metadata,
}: {
  readonly metadata: ReadonlyMap<string, string>;
}): DecoderInfo | undefined {
  const text = metadata.get(KEY);
  if (text === undefined) return undefined;
  try {
    return DecoderInfo.parse(JSON.parse(text));
  } catch (error) {
    throw invalid(`the model's metadata ${KEY} cannot be read: import it again`, error);
  }
}

/** The same of the ONNX file at `path`. */
export function readDecoderInfo(path: string): DecoderInfo | undefined {
  return decoderInfoOf(readSignature(path));
}
