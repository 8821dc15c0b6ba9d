/**
 * Leaves out rows of an encoder's table of words that no text leads to: answers stay the same to the bit, in whatever precision the rows
 * are. Ids stay too, since callers and tokenizer know them: the graph looks up the row of an id first.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import type { Served } from '@shoal/importer';
import type { Model } from '@shoal/models';
import {
  dataOf,
  freshName,
  type Graph,
  indexGraph,
  lazyData,
  loadModel,
  type Node,
  removeUnused,
  saveModel,
  type Tensor,
} from '@shoal/onnx';
import tokenizers from 'tokenizers';
import { z } from 'zod';
import type { Method } from '../types.js';
import { open } from './subject.js';

/** A share of rows that is worth a node. */
const LEAST = 0.01;
const TABLE = /(^|\.)(word_embeddings|tok_embeddings)\.weight$/;
/** The constants that it is stored as: halves, or integers with their scales. */
const STORED = /(^|\.)(word_embeddings|tok_embeddings)\.weight(\.\w+)?$/;
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
  stage: 'words',

  async plan(subject) {
    const opened = open(subject);
    if (typeof opened === 'string') return opened;
    if (subject.original.task === 'text-generation') return 'what it generates are ids of its own table';
    const rows = countRows(opened.served);
    if (rows === undefined) return 'its table of words is not known';
    const { kept } = await reachable(subject.original, rows);
    const gone = rows - kept.length;
    if (gone < LEAST * rows) {
      return `all ${gone === 0 ? '' : `but ${gone.toLocaleString('en')} `}of its ${rows.toLocaleString('en')} words are used`;
    }
    return [{ method: 'vocabulary', variant: `words${kept.length}`, settings: { words: kept.length }, seconds: 10 }];
  },

  async make(_candidate, { original, path: from }, path) {
    const model = loadModel(from);
    const { graph } = model;
    const stored = [...graph.initializers].filter(([name]) => STORED.test(name));
    const rows = stored[0]?.[1].dims[0];
    if (rows === undefined) throw new ShoalError('invalid_request', 'its table of words is not known');
    const { kept, unknown } = await reachable(original, rows);
    for (const [name, tensor] of stored) graph.initializers.set(name, rowsOf(tensor, kept));
    lookUpRows(
      graph,
      stored.map(([name]) => name),
      kept.length,
      rowOfEach(kept, rows, unknown),
    );
    saveModel(model, path);
    return {
      method: `${kept.length} of ${rows} words`,
      notes: ['answers are the same, but for requests that give ids of tokens which no text leads to'],
    };
  },
};

function countRows({ weights }: Served): number | undefined {
  return [...weights.tensors.values()].find(({ name }) => TABLE.test(name))?.shape[0];
}

/** A row of any type is as many bytes as the others. */
function rowsOf({ type, dims, data }: Tensor, kept: readonly number[]): Tensor {
  const width = data.byteLength / dims[0]!;
  const pick = () => {
    const [all, picked] = [data.bytes(), new Uint8Array(kept.length * width)];
    for (const [n, row] of kept.entries()) picked.set(all.subarray(row * width, (row + 1) * width), n * width);
    return picked;
  };
  return { type, dims: [kept.length, ...dims.slice(1)], data: lazyData(kept.length * width, pick) };
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

function rowOfEach(kept: readonly number[], rows: number, unknown: number): Int32Array {
  const places = new Map(kept.map((id, row) => [id, row]));
  const other = places.get(unknown) ?? 0;
  return Int32Array.from({ length: rows }, (_, id) => places.get(id) ?? other);
}

/** Whoever looks up a word in the table looks up its row first. `stored`: names of the table's constants. */
function lookUpRows(graph: Graph, stored: readonly string[], kept: number, rowOf: Int32Array): void {
  const index = indexGraph(graph);
  const constant = (wish: string, values: BigInt64Array | Int32Array) => {
    const name = freshName(graph, wish);
    const type = values instanceof Int32Array ? 'int32' : 'int64';
    graph.initializers.set(name, { type, dims: [values.length], data: dataOf(values) });
    return name;
  };
  const values = [...stored];
  const readers = new Set<Node>();
  // An array is walked to its end, what is added on the way included.
  for (const value of values) {
    for (const node of index.consumers(value)) {
      if (node.op === 'Gather' || node.op === 'GatherBlockQuantized') readers.add(node);
      else if (node.op === 'Cast') values.push(...node.outputs);
      else if (node.op === 'Reshape') {
        node.inputs = [value, constant(`${value}.rows`, BigInt64Array.of(BigInt(kept), -1n))];
        values.push(...node.outputs);
      } else throw new ShoalError('invalid_request', `its table of words is read by ${node.op}, not looked up alone`);
    }
  }
  const map = constant('row_of_id', rowOf);
  for (const reader of readers) {
    const [table = '', ids = '', ...others] = reader.inputs;
    const rows = freshName(graph, `${map}/Gather_out`);
    const node = { name: `${rows}/Gather`, op: 'Gather', domain: '', inputs: [map, ids], outputs: [rows] };
    graph.nodes.splice(graph.nodes.indexOf(reader), 0, { ...node, attributes: new Map(), extra: [] });
    reader.inputs = [table, rows, ...others];
  }
  removeUnused(graph);
}
