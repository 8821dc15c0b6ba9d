/** Which task a model folder serves, and the names of its classes. */
import type { ShoalJson, Task } from '@shoal/contracts';
import { invalid } from './files.js';
import { type Chosen, embeddingOutputs, logitsOutput, rank } from './graph.js';
import type { Config, HuggingFaceFiles } from './hugging-face.js';

/** shoal.json's task, else what config.json's architecture and the graph's outputs say. Throws `model_invalid`. */
export function decideTask(shoal: ShoalJson, files: HuggingFaceFiles, graph: Chosen): Task {
  const task = shoal.task ?? guessTask(files, graph);
  if (task !== 'tensors' && !files.hasTokenizer) throw invalid(`${task} needs a tokenizer.json`);
  return task;
}

function guessTask(files: HuggingFaceFiles, graph: Chosen): Task {
  if (!files.hasTokenizer) return 'tensors';
  if (graph.inputs.some((input) => input.name === 'input_ids:0')) {
    const advice = 'give them their plain names, or set "task": "tensors" in shoal.json';
    throw invalid(`the graph's inputs have TensorFlow's names (input_ids:0): ${advice}`);
  }
  if (!graph.inputs.some((input) => input.name === 'input_ids')) return 'tensors';
  const architecture = files.config.architectures?.[0] ?? '';
  if (architecture.endsWith('ForSequenceClassification')) return sequenceTask(files.config, graph);
  if (architecture.endsWith('ForTokenClassification')) return 'token-classification';
  const outputs = embeddingOutputs(graph);
  const named = outputs.tokens?.name !== 'logits' && outputs.pooled?.name !== 'logits';
  if (files.sentence !== null || architecture.endsWith('Model')) return 'feature-extraction';
  if (architecture === '' && named && (outputs.tokens ?? outputs.pooled) !== null) return 'feature-extraction';
  if (architecture === '' && rank(logitsOutput(graph)) === 2) return sequenceTask(files.config, graph);
  throw invalid(
    `cannot tell the task from ${architecture || 'the graph'}: set "task" in shoal.json (text-classification, ` +
      'feature-extraction, rerank, token-classification, text-generation or tensors)',
  );
}

/** One logit per text is a relevance score unless the model was trained to tell a value; several are classes. */
function sequenceTask(config: Config, graph: Chosen): Task {
  return classCount(config, graph) === 1 && config.problem_type !== 'regression' ? 'rerank' : 'text-classification';
}

/** Counted in the graph where it says. */
export function classCount(config: Config, graph: Chosen): number {
  const last = logitsOutput(graph).shape.at(-1);
  if (typeof last === 'number') return last;
  // Hugging Face leaves id2label out of config.json where there are two classes.
  return Object.keys(config.id2label ?? {}).length || 2;
}

/** Class names by index; none for tasks without classes. Throws `model_invalid` where config and graph disagree. */
export function readLabels(task: Task, config: Config, graph: Chosen): readonly string[] {
  if (task !== 'text-classification' && task !== 'token-classification' && task !== 'rerank') return [];
  const count = classCount(config, graph);
  if (task === 'rerank') {
    if (count !== 1) throw invalid(`rerank needs a graph with one logit per pair; this one gives ${count}`);
    return [];
  }
  const names = config.id2label ?? {};
  const given = Object.keys(names).length;
  if (given !== 0 && given !== count) throw invalid(`config.json names ${given} labels, the graph gives ${count}`);
  return Array.from({ length: count }, (_, index) => names[String(index)] ?? `LABEL_${index}`);
}
