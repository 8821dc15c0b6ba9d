/**
 * Leaves out rows of an encoder's table of words that no text leads to: answers stay the same to the bit. Ids stay too, since callers
 * and tokenizer know them: the graph looks up the row of an id first.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { buildFrom, precisionOf, type Served } from '@shoal/importer';
import { type Model } from '@shoal/models';
import { dataOf, freshName, type Model as Graph, indexGraph } from '@shoal/onnx';
import tokenizers from 'tokenizers';
import { z } from 'zod';
import type { Method } from '../types.js';
import { edit, numbersOf, pickRows, replace } from './edits.js';
import { open, openOrThrow } from './subject.js';

/** A share of rows that is worth a node. */
const LEAST = 0.01;
const TABLE = /(^|\.)(word_embeddings|tok_embeddings)\.weight$/;
/** What a piece begins with that goes on a word. */
const CONTINUED = '##';

const TokenizerJson = z.object({
  added_tokens: z.array(z.object({ id: z.int().min(0) })).default([]),
  model: z.looseObject({
    type: z.string().nullish(),
    vocab: z.union([z.record(z.string(), z.int().min(0)), z.array(z.unknown())]),
    unk_token: z.string().nullish(),
    unk_id: z.int().min(0).nullish(),
  }),
});

export const vocabulary: Method = {
  name: 'vocabulary',
  description: 'leaves out words that no text leads to, for less memory: answers stay the same',

  async plan(subject) {
    const opened = open(subject);
    if (typeof opened === 'string') return opened;
    if (subject.original.task === 'text-generation') return 'what it generates are ids of its own table';
    const rows = rowsOf(opened.served);
    if (rows === undefined) return 'its table of words is not known';
    const { kept } = await reachable(subject.original, rows);
    const gone = rows - kept.length;
    if (gone < LEAST * rows) return `all but ${gone} of its ${rows} words can be reached`;
    return [{ method: 'vocabulary', variant: `words${kept.length}`, settings: { words: kept.length }, seconds: 10 }];
  },

  async make(_candidate, subject, path) {
    const { served } = openOrThrow(subject);
    const { config, checkpoint } = served;
    const [name, rows] = [tableOf(served), rowsOf(served)];
    if (name === undefined || rows === undefined)
      throw new ShoalError('invalid_request', 'its table of words is not known');
    const { kept, unknown } = await reachable(subject.original, rows);
    const table = pickRows(numbersOf(checkpoint, name)!, kept);
    buildFrom(
      {
        ...{ folder: subject.original.folder, path, precision: precisionOf('fp32', 'encoder') },
        config: edit(config, (fields) => ({ ...fields, vocab_size: kept.length, pad_vocab_size_multiple: 1 })),
        checkpoint: replace(checkpoint, new Map([[name, table]])),
      },
      (graph) => lookUpRows(graph, name, rowOfEach(kept, rows, unknown)),
    );
    return {
      method: `${kept.length} of ${rows} words`,
      notes: ['answers are the same, but for requests that give ids of tokens which no text leads to'],
    };
  },
};

function tableOf({ weights }: Served): string | undefined {
  return [...weights.tensors.keys()].find((name) => TABLE.test(name));
}

function rowsOf(served: Served): number | undefined {
  const name = tableOf(served);
  return name === undefined ? undefined : served.weights.tensors.get(name)!.shape[0];
}

/**
 * Ids that texts can lead to, and that of what the tokenizer does not know. Ids without a token cannot be reached. Nor can a WordPiece
 * token that begins a word, but is not what its own text is cut into: it would be matched only at the start of a word that goes on with
 * nothing between, and then its own text is such a word, of which it is the longest match.
 */
async function reachable(
  { folder }: Model,
  rows: number,
): Promise<{ readonly kept: readonly number[]; readonly unknown: number }> {
  const path = join(folder, 'tokenizer.json');
  const { added_tokens: added, model } = TokenizerJson.parse(JSON.parse(readFileSync(path, 'utf8')));
  const tokenizer = tokenizers.Tokenizer.fromFile(path);
  const ids = new Set(added.map(({ id }) => id));
  if (Array.isArray(model.vocab)) for (const id of model.vocab.keys()) ids.add(id);
  else {
    const pieces = model.type === 'WordPiece';
    for (const [token, id] of Object.entries(model.vocab)) {
      const whole = !pieces || token.startsWith(CONTINUED) || token === model.unk_token || ids.has(id);
      if (whole || (await isOwn(token, id))) ids.add(id);
    }
  }
  const named = Array.isArray(model.vocab) ? undefined : model.vocab[model.unk_token ?? ''];
  const kept = [...ids].filter((id) => id < rows).sort((a, b) => a - b);
  return { kept, unknown: named ?? model.unk_id ?? kept[0] ?? 0 };

  async function isOwn(token: string, id: number): Promise<boolean> {
    const encoding = await tokenizer.encode(token, null, { addSpecialTokens: false });
    return Array.from(encoding.getIds()).includes(id);
  }
}

function rowOfEach(kept: readonly number[], rows: number, unknown: number): BigInt64Array {
  const places = new Map(kept.map((id, row) => [id, row]));
  const other = places.get(unknown) ?? 0;
  return BigInt64Array.from({ length: rows }, (_, id) => BigInt(places.get(id) ?? other));
}

/** Whoever looks up a word in the table looks up its row first. */
function lookUpRows({ graph }: Graph, table: string, rowOf: BigInt64Array): void {
  const map = freshName(graph, `${table}.row_of_id`);
  graph.initializers.set(map, { type: 'int64', dims: [rowOf.length], data: dataOf(rowOf) });
  const readers = indexGraph(graph).consumers(table);
  for (const reader of readers) {
    const [, ids = ''] = reader.inputs;
    const rows = freshName(graph, `${map}/Gather_out`);
    const node = { name: `${rows}/Gather`, op: 'Gather', domain: '', inputs: [map, ids], outputs: [rows] };
    graph.nodes.splice(graph.nodes.indexOf(reader), 0, { ...node, attributes: new Map(), extra: [] });
    reader.inputs = [table, rows];
  }
}
