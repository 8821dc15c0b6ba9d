/** One version folder → a Model per variant. */
import { lstat } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { ShoalError, ShoalJson, type Task } from '@shoal/contracts';
import { readSignature } from '@shoal/onnx';
import type { Model, TextDetails } from '../types.js';
import { invalid, readJson, regularFile } from './files.js';
import {
  type Chosen,
  checkChosen,
  checkTextInputs,
  embeddingOutputs,
  type Graph,
  isBatchable,
  tensorGraph,
} from './graph.js';
import { type HuggingFaceFiles, readHuggingFace } from './hugging-face.js';
import { decideTask, readLabels } from './task.js';
import { textDetails } from './text-details.js';
import { findVariants } from './variants.js';

/**
 * Reads and checks `folder` (absolute, without links): one Model per variant, the default first.
 * Throws `model_invalid` naming the file, and the field where there is one.
 */
export async function readFolder(name: string, version: string, folder: string): Promise<readonly Model[]> {
  const shoal = (await readJson(folder, 'shoal.json', ShoalJson)) ?? {};
  const files = await readHuggingFace(folder);
  const variants = await findVariants(folder, shoal);
  const models: Model[] = [];
  for (const [variant, path] of Object.entries(variants)) {
    const graph = await readGraph(folder, path);
    const served = readServed(shoal, files, graph, relative(folder, path));
    if (models[0] !== undefined && models[0].task !== served.task) {
      throw invalid(`its variants serve different tasks: ${models[0].task} and ${served.task}`);
    }
    const created = Math.floor((await lstat(path)).mtimeMs / 1000);
    const queue = `${name}.${version}.${variant}.0`;
    models.push({ name, version, variant, variants, folder, shoal, ...served, ...graph, created, queue });
  }
  return models;
}

/** Whether a folder holds a decoder, going by its shoal.json, else by the class that its config.json names. */
export async function generatesText(folder: string): Promise<boolean> {
  const task = (await readJson(folder, 'shoal.json', ShoalJson))?.task;
  if (task !== undefined) return task === 'text-generation';
  const { config } = await readHuggingFace(folder);
  return config.architectures?.[0]?.endsWith('ForCausalLM') ?? false;
}

async function readGraph(folder: string, path: string): Promise<Graph> {
  const signature = readSignature(path);
  for (const location of signature.externalFiles) {
    const file = relative(folder, `${dirname(path)}/${location}`);
    if ((await regularFile(folder, file)) === null) {
      throw invalid(`${relative(folder, path)} keeps weights in ${JSON.stringify(location)}, which is missing`);
    }
  }
  return tensorGraph(signature);
}

type Served = Pick<Model, 'task' | 'labels' | 'maxTokens' | 'dimensions' | 'batchable' | 'text'>;

function readServed(shoal: ShoalJson, files: HuggingFaceFiles, signature: Graph, file: string): Served {
  const graph: Chosen = { ...signature, shoal };
  try {
    checkChosen(graph);
    const task = decideTask(shoal, files, graph);
    if (task !== 'tensors') checkTextInputs(graph, task);
    const text: TextDetails | null = task === 'tensors' ? null : textDetails(task, shoal, files, graph);
    return {
      task,
      labels: readLabels(task, files.config, graph),
      maxTokens: text?.maxTokens ?? null,
      dimensions: dimensions(task, files, graph),
      batchable: isBatchable(graph, task),
      text,
    };
  } catch (error) {
    throw error instanceof ShoalError ? invalid(`${file}: ${error.message}`, error) : error;
  }
}

/** Length of an embedding where the graph or config.json says. */
function dimensions(task: Task, files: HuggingFaceFiles, graph: Chosen): number | null {
  if (task !== 'feature-extraction') return null;
  const { tokens, pooled, pooledFirst } = embeddingOutputs(graph);
  const last = (pooledFirst ? pooled : tokens)?.shape.at(-1);
  return typeof last === 'number' ? last : (files.config.hidden_size ?? null);
}
