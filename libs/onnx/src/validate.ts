/** Whether a model is one that a runtime can be expected to load: what the ONNX specification (IR.md) asks of every graph. */
import { invalid } from './invalid.js';
import { graphsOf } from './query.js';
import type { Graph, Model } from './types.js';

/** As many as a reader can take in at once. */
const SHOWN = 10;

/** @throws ShoalError `model_invalid` with every problem found, the first ten by name */
export function validateModel(model: Model): void {
  const problems: string[] = [];
  if (model.irVersion < 3) problems.push(`IR version ${model.irVersion} is older than 3`);
  if (model.opsets.size === 0) problems.push('no operator set is named');
  checkGraph(model.graph, model.opsets, new Set(), problems);
  if (problems.length === 0) return;
  const more = problems.length > SHOWN ? ` and ${problems.length - SHOWN} more` : '';
  throw invalid(`the model is not valid: ${problems.slice(0, SHOWN).join('; ')}${more}`);
}

/** `outer` are the values of the graphs around this one, which its nodes may read. */
function checkGraph(
  graph: Graph,
  opsets: ReadonlyMap<string, number>,
  outer: ReadonlySet<string>,
  problems: string[],
): void {
  const where = graph.name === '' ? '' : ` in graph ${graph.name}`;
  const known = new Set(outer);
  const made = new Set<string>();
  for (const { name } of graph.inputs) {
    if (made.has(name)) problems.push(`two inputs have the name ${name}${where}`);
    made.add(name);
    known.add(name);
  }
  for (const name of graph.initializers.keys()) {
    if (name === '') problems.push(`a constant has no name${where}`);
    made.add(name);
    known.add(name);
  }
  for (const node of graph.nodes) {
    const which = `${node.op || 'a node without an operator'} ${node.name}`.trim();
    if (node.op === '') problems.push(`${which}${where} names no operator`);
    if (!opsets.has(node.domain))
      problems.push(`${which} is of domain ${node.domain || 'ai.onnx'}, which is not imported`);
    for (const name of node.inputs) {
      if (name !== '' && !known.has(name))
        problems.push(`${which} reads ${name}, which nothing before it makes${where}`);
    }
    for (const inner of graphsOf(node)) checkGraph(inner, opsets, known, problems);
    for (const name of node.outputs) {
      if (name === '') continue;
      if (made.has(name)) problems.push(`${name} is made twice${where}`);
      made.add(name);
      known.add(name);
    }
  }
  if (graph.outputs.length === 0) problems.push(`there is no output${where}`);
  for (const { name } of graph.outputs) {
    if (!known.has(name)) problems.push(`nothing makes the output ${name}${where}`);
  }
}
