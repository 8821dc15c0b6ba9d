/** Edits that keep a graph whole. */
import { indexGraph, readsOf } from './query.js';
import type { Graph, Node } from './types.js';

/** Every reader of `from`, the graph's outputs aside, reads `to` instead. */
export function replaceValue(graph: Graph, from: string, to: string): void {
  for (const node of indexGraph(graph).consumers(from)) {
    node.inputs = node.inputs.map((name) => (name === from ? to : name));
  }
}

/** Removes nodes and constants that nothing leads from to an output of the graph. */
export function removeUnused(graph: Graph): void {
  const { producer } = indexGraph(graph);
  const own = new Set(graph.nodes);
  const needed = new Set<string>(graph.outputs.map(({ name }) => name));
  const nodes = new Set<Node>();
  // A Set is walked in the order of insertion, what is added on the way included.
  for (const value of needed) {
    const node = producer(value);
    if (node === undefined || nodes.has(node) || !own.has(node)) continue;
    nodes.add(node);
    for (const name of readsOf(node)) needed.add(name);
  }
  graph.nodes = graph.nodes.filter((node) => nodes.has(node));
  for (const name of [...graph.initializers.keys()]) if (!needed.has(name)) graph.initializers.delete(name);
  graph.valueInfos = graph.valueInfos.filter(({ name }) => needed.has(name));
}

/** A name that no value of the graph has yet, made from `wish`. */
export function freshName(graph: Graph, wish: string): string {
  const taken = new Set<string>(graph.initializers.keys());
  for (const { name } of graph.inputs) taken.add(name);
  for (const node of graph.nodes) for (const name of [...node.outputs, ...readsOf(node)]) taken.add(name);
  let name = wish;
  for (let n = 1; taken.has(name); n++) name = `${wish}_${n}`;
  return name;
}
