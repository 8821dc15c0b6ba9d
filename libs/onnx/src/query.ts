/** Questions about a graph: who makes a value, who uses it, what is constant. */
import { invalid } from './invalid.js';
import type { Attribute, Graph, Node } from './types.js';

export interface GraphIndex {
  /** The node that makes a value; undefined for inputs and constants. */
  producer(value: string): Node | undefined;
  /** Nodes that read a value, those within nested graphs included, once each. */
  consumers(value: string): readonly Node[];
}

/** How the graph stands now: make a new one after an edit. */
export function indexGraph(graph: Graph): GraphIndex {
  const producers = new Map<string, Node>();
  const consumers = new Map<string, Set<Node>>();
  const visit = ({ nodes }: Graph) => {
    for (const node of nodes) {
      for (const output of node.outputs) if (output !== '') producers.set(output, node);
      for (const input of node.inputs) {
        if (input !== '') consumers.set(input, (consumers.get(input) ?? new Set()).add(node));
      }
      for (const inner of graphsOf(node)) visit(inner);
    }
  };
  visit(graph);
  return { producer: (value) => producers.get(value), consumers: (value) => [...(consumers.get(value) ?? [])] };
}

/** Graphs that a node holds: the branches of an If, the body of a Loop. */
export function graphsOf({ attributes }: Node): readonly Graph[] {
  return [...attributes.values()].flatMap((attribute) => {
    if (attribute.type === 'graph') return [attribute.value];
    return attribute.type === 'graphs' ? attribute.value : [];
  });
}

/** An integer attribute, or the operator's default. @throws ShoalError `model_invalid` where it is of another type */
export function intOf(node: Node, name: string, standard: number): number {
  const attribute = node.attributes.get(name);
  return attribute === undefined ? standard : Number(expect(node, name, attribute, 'int').value);
}

export function intsOf(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes.get(name);
  return attribute === undefined ? undefined : Array.from(expect(node, name, attribute, 'ints').value, Number);
}

export function floatOf(node: Node, name: string, standard: number): number {
  const attribute = node.attributes.get(name);
  return attribute === undefined ? standard : expect(node, name, attribute, 'float').value;
}

export function stringOf(node: Node, name: string, standard: string): string {
  const attribute = node.attributes.get(name);
  return attribute === undefined ? standard : new TextDecoder().decode(expect(node, name, attribute, 'string').value);
}

function expect<T extends Attribute['type']>(
  node: Node,
  name: string,
  attribute: Attribute,
  type: T,
): Extract<Attribute, { type: T }> {
  if (attribute.type !== type) {
    throw invalid(`attribute ${name} of ${node.op} ${node.name} is of type ${attribute.type}, not ${type}`);
  }
  return attribute as Extract<Attribute, { type: T }>;
}

/**
 * Puts nodes into an order in which every value is made before it is read, keeping the order of the file where it can.
 *
 * @throws ShoalError `model_invalid` where nodes wait for each other
 */
export function sortNodes(graph: Graph): void {
  const { producer } = indexGraph(graph);
  const own = new Set(graph.nodes);
  const state = new Map<Node, 'open' | 'done'>();
  const sorted: Node[] = [];
  for (const root of graph.nodes) {
    // Depth first, without recursion: graphs are thousands of nodes deep.
    const path: { node: Node; needs: Iterator<string> }[] = [];
    const enter = (node: Node) => {
      if (state.get(node) === 'done') return;
      if (state.get(node) === 'open') throw invalid(`the nodes of graph ${graph.name} wait for each other in a circle`);
      state.set(node, 'open');
      path.push({ node, needs: readsOf(node).values() });
    };
    enter(root);
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const { value, done } = top.needs.next();
      if (done) {
        state.set(top.node, 'done');
        sorted.push(top.node);
        path.pop();
        continue;
      }
      const needed = producer(value);
      if (needed && own.has(needed)) enter(needed);
    }
  }
  graph.nodes = sorted;
}

/** Every value that a node or a graph within it reads. */
export function readsOf(node: Node): ReadonlySet<string> {
  const reads = new Set(node.inputs.filter((name) => name !== ''));
  for (const graph of graphsOf(node)) {
    for (const inner of graph.nodes) for (const name of readsOf(inner)) reads.add(name);
    for (const { name } of graph.outputs) reads.add(name);
  }
  return reads;
}
