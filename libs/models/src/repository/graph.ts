/** What a graph's signature means for serving it: which task, which inputs, whether rows can share a pass. */
import { ELEMENT_TYPES, type ShoalJson, type Task, type TensorSpec } from '@shoal/contracts';
import type { OnnxSignature, OnnxValue } from '@shoal/onnx';
import { invalid } from './files.js';

/** A tensor of unknown rank. */
export const ANY_RANK = ['...'] as const;

export interface Graph {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** The signature as tensors. Throws `model_invalid` for sequences, maps and element types that Shoal does not carry. */
export function tensorGraph(signature: OnnxSignature): Graph {
  return {
    inputs: signature.inputs.map((value) => tensorSpec(value, 'input')),
    outputs: signature.outputs.map((value) => tensorSpec(value, 'output')),
  };
}

const NO_ZIPMAP = ': export without ZipMap (skl2onnx: options={"zipmap": False}; onnxmltools: zipmap=False)';

function tensorSpec(value: OnnxValue, role: string): TensorSpec {
  // Parsers of JSON leave this name out, for good reasons.
  if (value.name === '__proto__') throw invalid(`the graph's ${role} __proto__ cannot be named in JSON: rename it`);
  if (!(ELEMENT_TYPES as readonly string[]).includes(value.type)) {
    const hint = value.type === 'sequence' || value.type === 'map' ? NO_ZIPMAP : '';
    throw invalid(`the graph's ${role} ${value.name} is of type ${value.type}; only plain tensors are served${hint}`);
  }
  return { name: value.name, type: value.type, shape: value.shape ?? ANY_RANK };
}

const TEXT_INPUTS: readonly string[] = [
  'input_ids',
  'attention_mask',
  'token_type_ids',
  'position_ids',
  'pooling_mask',
];

/** Throws `model_invalid` where a text model's graph asks for something that a tokenised text does not give. */
export function checkTextInputs(graph: Graph, task: Task): void {
  const ids = graph.inputs.find((input) => input.name === 'input_ids');
  if (ids === undefined) throw invalid(`${task} needs a graph with the input input_ids`);
  for (const input of graph.inputs) {
    if (!TEXT_INPUTS.includes(input.name)) {
      throw invalid(`the graph's input ${input.name} is not one that ${task} can give (${TEXT_INPUTS.join(', ')})`);
    }
    if (input.type !== 'int64' && input.type !== 'int32') {
      throw invalid(`the graph's input ${input.name} is ${input.type}, not int64 or int32`);
    }
  }
  const rows = ids.shape[0];
  if (typeof rows === 'number' && rows !== 1)
    throw invalid(`the graph takes exactly ${rows} rows; export it with 1 or any`);
}

/**
 * Whether rows of several items could be joined along the first dimension, going by the signature. For text, `input_ids`
 * decides; for tensors every input and output has to have a first dimension that the caller chooses, the inputs the same one
 * and no further one of its name. Whether rows are independent has to be proved (../independence).
 */
export function isBatchable(graph: Graph, task: Task): boolean {
  if (task !== 'tensors') {
    return typeof graph.inputs.find((input) => input.name === 'input_ids')?.shape[0] === 'string';
  }
  const free = (spec: TensorSpec) => typeof spec.shape[0] === 'string' && spec.shape[0] !== ANY_RANK[0];
  const names = new Set(graph.inputs.map((input) => input.shape[0]).filter((name) => name !== '?'));
  const again = graph.inputs.some(({ shape }) => shape.slice(1).some((name) => names.has(name)));
  return graph.inputs.length > 0 && graph.inputs.every(free) && graph.outputs.every(free) && names.size <= 1 && !again;
}

/** Rank of an output, or null where the file does not give it. */
export function rank(spec: TensorSpec): number | null {
  return spec.shape[0] === ANY_RANK[0] ? null : spec.shape.length;
}

/** A graph, and what shoal.json says of it: which of its outputs is meant, and how they are pooled. */
export type Chosen = Graph & { readonly shoal?: Pick<ShoalJson, 'output' | 'pooling'> };

function chosenOutput({ outputs, shoal }: Chosen): TensorSpec | undefined {
  return shoal?.output === undefined ? undefined : outputs.find(({ name }) => name === shoal.output);
}

/** Throws `model_invalid` where shoal.json names an output that the graph does not have. */
export function checkChosen({ outputs, shoal }: Chosen): void {
  if (shoal?.output === undefined || outputs.some(({ name }) => name === shoal.output)) return;
  const names = outputs.map(({ name }) => name).join(', ');
  throw invalid(`shoal.json: output: the graph has no output ${shoal.output}, only ${names}`);
}

/** The output that holds class scores: the chosen one, `logits`, else the first one. */
export function logitsOutput(graph: Chosen): TensorSpec {
  return chosenOutput(graph) ?? graph.outputs.find((output) => output.name === 'logits') ?? graph.outputs[0]!;
}

/** What exporters call the embedding itself, the best name first. BERT's pooler is one only where there is nothing else. */
const EMBEDDING_NAMES: readonly string[] = ['sentence_embedding', 'text_embeds', 'dense_vecs'];
const POOLED_NAMES: readonly string[] = [...EMBEDDING_NAMES, 'pooler_output'];
const TOKEN_NAMES: readonly string[] = ['last_hidden_state', 'token_embeddings'];

export interface EmbeddingOutputs {
  /** Output of shape [batch, tokens, dimensions]. */
  readonly tokens: TensorSpec | null;
  /** Output of shape [batch, dimensions] that the model itself pooled. */
  readonly pooled: TensorSpec | null;
  /** The pooled output is the model's embedding; false where it is only BERT's pooler beside the token vectors. */
  readonly pooledFirst: boolean;
}

export function embeddingOutputs(graph: Chosen): EmbeddingOutputs {
  const chosen = chosenOutput(graph);
  if (chosen !== undefined) {
    return rank(chosen) === 3
      ? { tokens: chosen, pooled: null, pooledFirst: false }
      : { tokens: null, pooled: chosen, pooledFirst: true };
  }
  const tokens = named(graph, TOKEN_NAMES) ?? vectorsOf(graph, 3)[0] ?? null;
  const pooled = named(graph, POOLED_NAMES) ?? vectorsOf(graph, 2)[0] ?? null;
  const pooledFirst = pooled !== null && (tokens === null || EMBEDDING_NAMES.includes(pooled.name));
  return { tokens, pooled, pooledFirst };
}

/** Whether the embedding is taken as the graph pooled it. */
export function pooledByGraph(graph: Chosen): boolean {
  const { tokens, pooledFirst } = embeddingOutputs(graph);
  return tokens === null || (pooledFirst && graph.shoal?.pooling === undefined);
}

/** Throws `model_invalid` where several outputs could be the embedding and no name tells which. */
export function checkEmbeddingOutputs(graph: Chosen): void {
  if (graph.shoal?.output !== undefined || named(graph, [...TOKEN_NAMES, ...EMBEDDING_NAMES]) !== undefined) return;
  const perToken = vectorsOf(graph, 3);
  const fitting = perToken.length > 0 ? perToken : vectorsOf(graph, 2);
  if (fitting.length < 2) return;
  const names = fitting.map(({ name }) => name).join(' or ');
  throw invalid(`the embedding could be the graph's output ${names}: name it as "output" in shoal.json`);
}

function named(graph: Graph, names: readonly string[]): TensorSpec | undefined {
  return names.flatMap((name) => graph.outputs.filter((output) => output.name === name))[0];
}

/** Outputs of that rank whose last dimension is a vector's: a weight per token is none. */
function vectorsOf(graph: Graph, dimensions: number): readonly TensorSpec[] {
  return graph.outputs.filter((output) => rank(output) === dimensions && output.shape.at(-1) !== 1);
}
