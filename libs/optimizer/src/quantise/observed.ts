/** A graph in 32-bit floats that puts out what its matrices multiply, beside what it puts out anyway. */
import { float32, type Matrix, type Precision } from '@shoal/importer';
import { indexGraph, type Value } from '@shoal/onnx';

/** A matrix that inputs are multiplied by. */
export interface Product {
  /** As a precision gets it: what packs several matrices that read the same is one. */
  readonly name: string;
  /** [out, in] */
  readonly weight: Matrix;
  /** Outputs of the graph, [..., in] each: as many as there are places where it multiplies. */
  readonly inputs: ReadonlySet<Value>;
}

export interface Observed {
  /** To be built with once. */
  readonly precision: Precision;
  /** By name, once the graph is built. */
  readonly products: ReadonlyMap<string, Product>;
  /** Of these a LayerNormalization makes every input. */
  readonly normed: ReadonlySet<string>;
}

interface Noted extends Product {
  readonly inputs: Set<Value>;
}

export function observed(): Observed {
  const products = new Map<string, Noted>();
  const normed = new Set<string>();
  const note = (name: string, weight: Matrix, x: Value) => {
    const product = products.get(name) ?? { name, weight, inputs: new Set<Value>() };
    product.inputs.add(x);
    products.set(name, product);
  };
  const precision: Precision = {
    ...float32,
    name: 'observed',
    linear(g, x, name, weight, bias) {
      note(name, weight, x);
      return float32.linear(g, x, name, weight, bias);
    },
    head(g, x, name, weight) {
      note(name, weight, x);
      return float32.head(g, x, name, weight);
    },
    finish(model) {
      const { outputs } = model.graph;
      const { producer } = indexGraph(model.graph);
      const there = new Set(outputs.map(({ name }) => name));
      for (const { name, inputs } of products.values()) {
        for (const value of inputs) {
          if (!there.has(value)) outputs.push({ name: value, type: 'float32', shape: null, extra: [] });
          there.add(value);
        }
        if ([...inputs].every((value) => producer(value)?.op === 'LayerNormalization')) normed.add(name);
      }
      return model;
    },
  };
  return { precision, products, normed };
}

/** Outputs that `texts.observe` has to be asked for. */
export function inputsOf(products: ReadonlyMap<string, Product>): readonly Value[] {
  return [...new Set([...products.values()].flatMap(({ inputs }) => [...inputs]))];
}
