/** Where in the served graph the states of layers are: found by the constants of their maps and norms, and by the names of scopes. */
import { ShoalError } from '@shoal/contracts';
import type { Served } from '@shoal/importer';
import { type GraphIndex, indexGraph, type Node, type Value } from '@shoal/onnx';
import type { Anatomy } from './anatomy.js';

/** Values of one layer, a vector a token each. */
export interface LayerWires {
  /** The states that it reads and those that it gives. */
  readonly input: Value;
  readonly output: Value;
  /** What its feed-forward part adds to the states, and the neurons that that is made of. */
  readonly added: Value;
  readonly neurons: Value;
  /** Of layers that normalise what they give: what is normalised. */
  readonly sum: Value | undefined;
  /** Of a layer that goes on with the first token of each text only: which tokens those are. */
  readonly first: Value | undefined;
}

export function wiresOf(served: Served, anatomy: Anatomy): readonly LayerWires[] {
  const reader = new Reader(served, anatomy);
  const decoder = served.graph.graph.nodes.some(({ name }) => name.startsWith(DECODER_LAYER));
  const layers: LayerWires[] = [];
  for (let layer = 0; layer < anatomy.layers; layer++) {
    layers.push(decoder ? reader.decoder(layer) : reader.encoder(layer, layers.at(-1)?.output));
  }
  return layers;
}

/** The value that a map's products are made of: what tensor `name` multiplies. @throws ShoalError where the graph is of another form */
export function inputOf(served: Served, name: string): Value {
  return new Reader(served, undefined).product(name).inputs[0]!;
}

/** Scopes, as the importer's graphs have them. */
const DECODER_LAYER = 'model.layers.';
const ENCODER_LAYER = 'layer.';

class Reader {
  readonly #served: Served;
  readonly #anatomy: Anatomy | undefined;
  readonly #index: GraphIndex;

  constructor(served: Served, anatomy: Anatomy | undefined) {
    this.#served = served;
    this.#anatomy = anatomy;
    this.#index = indexGraph(served.graph.graph);
  }

  /** A node that a tensor, or what became of it, is an input of. */
  #reader(tensor: string, ops: readonly string[]): Node {
    for (const [name, { tensors }] of this.#served.weights.constants) {
      if (!tensors.includes(tensor)) continue;
      const node = this.#index.consumers(name).find(({ op }) => ops.includes(op));
      if (node !== undefined) return node;
    }
    throw unknown(`the node that reads ${tensor}`);
  }

  product(tensor: string): Node {
    return this.#reader(tensor, ['MatMul']);
  }

  /** What a map gives, bias included. */
  #mapped(name: string): Value {
    const [product = ''] = this.product(`${name}.weight`).outputs;
    const biased = this.#index
      .consumers(product)
      .find(({ op, inputs }) => op === 'Add' && this.#isBias(inputs[1], name));
    return biased?.outputs[0] ?? product;
  }

  #isBias(constant: string | undefined, name: string): boolean {
    const { constants } = this.#served.weights;
    return constants.get(constant ?? '')?.tensors.includes(`${name}.bias`) ?? false;
  }

  #tensor(layer: number, rest: string): string {
    return `${this.#anatomy!.prefix}${layer}.${rest}`;
  }

  /** The node outside of `scope` that reads what is made in it; others of the kind `elsewhere` begins names of do not count. */
  #leaving(scope: string, elsewhere: string): { readonly value: Value; readonly reader: Node } {
    for (const { name, outputs } of this.#served.graph.graph.nodes) {
      if (!name.startsWith(scope)) continue;
      for (const value of outputs) {
        const reader = this.#index.consumers(value).find((node) => !node.name.startsWith(elsewhere));
        if (reader !== undefined) return { value, reader };
      }
    }
    throw unknown(`what leaves ${scope}`);
  }

  /** Parts of a layer are added between its scopes, to the states that stand there. */
  decoder(layer: number): LayerWires {
    const scope = `${DECODER_LAYER}${layer}`;
    const attention = this.#leaving(`${scope}/attention/`, DECODER_LAYER);
    const { value: added, reader } = this.#leaving(`${scope}/mlp/`, DECODER_LAYER);
    return {
      input: attention.reader.inputs[0]!,
      output: reader.op === 'Add' ? reader.outputs[0]! : reader.outputs[3]!,
      added,
      neurons: this.product(this.#tensor(layer, `${this.#anatomy!.down}.weight`)).inputs[0]!,
      sum: undefined,
      first: undefined,
    };
  }

  encoder(layer: number, before: Value | undefined): LayerWires {
    const { down, outputNorm, norms } = this.#anatomy!;
    const scope = `${ENCODER_LAYER}${layer}/`;
    const own = this.#served.graph.graph.nodes.filter(({ name }) => name.startsWith(scope));
    const input = before ?? own.find(({ op }) => op === 'MatMul')?.inputs[0];
    if (input === undefined) throw unknown(`what layer ${layer} reads`);
    const leaves = own
      .flatMap(({ outputs }) => outputs)
      .filter((value) => {
        return this.#index.consumers(value).some(({ name }) => !name.startsWith(scope));
      });
    const output = leaves.at(-1) ?? this.#served.graph.graph.outputs[0]?.name ?? '';
    return {
      input,
      output,
      added: this.#mapped(this.#tensor(layer, down)),
      neurons: this.product(this.#tensor(layer, `${down}.weight`)).inputs[0]!,
      sum:
        norms === 'behind'
          ? this.#reader(this.#tensor(layer, `${outputNorm}.weight`), ['LayerNormalization']).inputs[0]
          : undefined,
      first: own.find(({ op, inputs }) => op === 'Gather' && inputs[0] === input)?.inputs[1],
    };
  }
}

function unknown(what: string): ShoalError {
  return new ShoalError(
    'model_invalid',
    `${what} is not found in the graph: import the model again, with --dtype fp32`,
  );
}
