/** One version folder → a Model per variant. */
import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, relative } from 'node:path';
import { ShoalError, ShoalJson, type Task } from '@shoal/contracts';
import { type OnnxSignature, readSignature, refuseLfsPointer } from '@shoal/onnx';
import { checkTokenizer } from '../text/tokenizer.js';
import type { GeneratorDetails, Model, TextDetails } from '../types.js';
import { invalid, readJson, regularFile } from './files.js';
import { generatorReader } from './generator.js';
import {
  type Chosen,
  checkChosen,
  checkTextInputs,
  embeddingOutputs,
  type Graph,
  isBatchable,
  pooledByGraph,
  tensorGraph,
} from './graph.js';
import { type HuggingFaceFiles, readHuggingFace } from './hugging-face.js';
import { decideTask, readLabels } from './task.js';
import { textDetails } from './text-details.js';
import { findVariants } from './variants.js';

/**
 * Reads and checks `folder` (absolute, without links): one Model per variant, the default first, without what was measured of it.
 * Throws `model_invalid` naming the file, and the field where there is one.
 */
export async function readFolder(name: string, version: string, folder: string): Promise<readonly Model[]> {
  const shoal = (await readJson(folder, 'shoal.json', ShoalJson)) ?? {};
  const files = await readHuggingFace(folder);
  const found = await findVariants(folder, shoal);
  const variants = Object.fromEntries(found);
  const readGenerator = generatesText(shoal, files) ? await generatorReader(folder, shoal) : undefined;
  const models: Model[] = [];
  for (const [variant, path] of found) {
    const signature = await readFile(folder, path);
    const graph = tensorGraph(signature);
    const served = readServed(relative(folder, path), () =>
      readGenerator === undefined ? encoder(shoal, files, graph) : generator(readGenerator(signature)),
    );
    if (models[0] !== undefined && models[0].task !== served.task) {
      throw invalid(`its variants serve different tasks: ${models[0].task} and ${served.task}`);
    }
    const created = Math.floor((await lstat(path)).mtimeMs / 1000);
    const queue = `${name}.${version}.${variant}.0`;
    const unmeasured = { original: found[0]![0], quality: null };
    models.push({
      name,
      version,
      variant,
      variants,
      folder,
      shoal,
      ...served,
      ...graph,
      ...unmeasured,
      created,
      queue,
    });
  }
  return models;
}

/**
 * Checks what is cheap of a version whose graphs are not there yet: the files beside them, the tokenizer, and what `graphs`, which
 * lie elsewhere and will be taken as they are, put out. @throws ShoalError `model_invalid` as the version would be refused with
 */
export async function checkDraft(folder: string, graphs: readonly string[]): Promise<void> {
  const real = await realpath(folder);
  const shoal = (await readJson(real, 'shoal.json', ShoalJson)) ?? {};
  const files = await readHuggingFace(real);
  await checkTokenizer(real);
  if (generatesText(shoal, files)) return;
  for (const path of graphs) readServed(basename(path), () => encoder(shoal, files, tensorGraph(readSignature(path))));
}

/** Going by shoal.json, else by the class that config.json names. */
function generatesText(shoal: ShoalJson, { config }: HuggingFaceFiles): boolean {
  if (shoal.task !== undefined) return shoal.task === 'text-generation';
  return config.architectures?.[0]?.endsWith('ForCausalLM') ?? false;
}

async function readFile(folder: string, path: string): Promise<OnnxSignature> {
  const signature = readSignature(path);
  for (const [location, bytes] of signature.externalBytes) {
    const file = await regularFile(folder, relative(folder, `${dirname(path)}/${location}`));
    const named = `${relative(folder, path)} keeps weights in ${JSON.stringify(location)}`;
    if (file === null) throw invalid(`${named}, which is missing`);
    const { size } = await lstat(file);
    if (size < bytes) refuseLfsPointer(file, location);
    if (size < bytes) throw invalid(`${named}, which has ${size} of ${bytes} bytes: it is not whole`);
  }
  return signature;
}

type Served = Pick<Model, 'task' | 'labels' | 'maxTokens' | 'dimensions' | 'batchable' | 'text' | 'generator'>;

/** What a request gets of one forward pass. */
function encoder(shoal: ShoalJson, files: HuggingFaceFiles, signature: Graph): Served {
  const graph: Chosen = { ...signature, shoal };
  checkChosen(graph);
  const task = decideTask(shoal, files, graph);
  if (task !== 'tensors') checkTextInputs(graph, task);
  const text: TextDetails | null = task === 'tensors' ? null : textDetails(task, shoal, files, graph);
  return {
    task,
    labels: readLabels(task, files.config, graph),
    maxTokens: text?.maxTokens ?? null,
    dimensions: dimensions(task, files, graph, text),
    batchable: isBatchable(graph, task),
    text,
    generator: null,
  };
}

function generator(details: GeneratorDetails): Served {
  const { maxContext: maxTokens } = details;
  const none = { labels: [], dimensions: null, text: null };
  return { task: 'text-generation', maxTokens, batchable: true, generator: details, ...none };
}

/** Faults name the file. */
function readServed(file: string, read: () => Served): Served {
  try {
    return read();
  } catch (error) {
    throw error instanceof ShoalError ? invalid(`${file}: ${error.message}`, error) : error;
  }
}

/** Length of an embedding where the graph or config.json says. */
function dimensions(task: Task, files: HuggingFaceFiles, graph: Chosen, text: TextDetails | null): number | null {
  if (task !== 'feature-extraction') return null;
  const { tokens, pooled, pooledFirst } = embeddingOutputs(graph);
  const last = (pooledFirst ? pooled : tokens)?.shape.at(-1);
  const width = typeof last === 'number' ? last : (files.config.hidden_size ?? null);
  return width === null || pooledByGraph(graph) ? width : width * (text?.pooling.length ?? 1);
}
