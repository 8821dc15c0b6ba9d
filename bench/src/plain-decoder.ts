/**
 * The decoder that Shoal's is measured against: the graph that ONNX Runtime's own tools make of a Llama. Rotary embedding
 * and a packed projection inside GroupQueryAttention, gate and up projections apart, logits of the last token, 4-bit weights
 * in blocks of 32 with the embedding left in 32-bit floats. With inputs and outputs as such, or as the hub's exports have
 * them for transformers.js: lengths from `attention_mask`, keys and values that grow by each pass.
 */
import { type Checkpoint, precisionOf, stackRows } from '@shoal/importer';
import { dataOf, float, GraphBuilder, type Model, type Value } from '@shoal/onnx';
import { type LlamaShape, MAX_CONTEXT } from './random-llama.js';

export function plainDecoder(checkpoint: Checkpoint, shape: LlamaShape, face: 'runtime' | 'hub' = 'runtime'): Model {
  const { layers, width, heads, kvHeads, inner, vocabulary } = shape;
  const head = width / heads;
  const g = new GraphBuilder({ name: 'plain', opset: 20, irVersion: 10, domains: { 'com.microsoft': 1 } });
  const int4 = precisionOf('int4', 'decoder');
  const epsilon = float(1e-5);
  const weight = (name: string, rows: number, columns: number) => checkpoint.matrix(`${name}.weight`, rows, columns);
  const gain = (name: string) =>
    g.constant(name, 'float32', [width], dataOf(checkpoint.vector(`${name}.weight`, width)));
  const linear = (x: Value, name: string, rows: number, columns: number) =>
    int4.linear(g, x, name, weight(name, rows, columns));

  const ids = g.input('input_ids', 'int64', ['batch_size', 'sequence']);
  const [lengths, total] = face === 'hub' ? lengthsOfMask(g) : lengthsAsInputs(g);
  const past = face === 'hub' ? 'past_key_values' : 'past';
  const table = weight('model.embed_tokens', vocabulary, width);
  const [cos, sin] = rotaryTables(g, head);
  const rows = g.op('Gather', [g.constant('embedding', 'float32', [vocabulary, width], table.data), ids], { axis: 0 });
  let sum = rows;
  let x = g.op('SimplifiedLayerNormalization', [rows, gain('model.layers.0.input_layernorm')], {
    axis: -1,
    epsilon,
    stash_type: 1,
  });
  const addNorm = (added: Value, name: string) => {
    [x = '', , , sum = ''] = g.contrib('SkipSimplifiedLayerNormalization', [sum, added, gain(name)], 4, { epsilon });
  };
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const projections = ['q_proj', 'k_proj', 'v_proj'].map((name, n) =>
      weight(`${prefix}.self_attn.${name}`, (n === 0 ? heads : kvHeads) * head, width),
    );
    const packed = int4.linear(g, x, `${prefix}.qkv`, stackRows(projections));
    const pasts = ['key', 'value'].map((kind) =>
      g.input(`${past}.${layer}.${kind}`, 'float32', ['batch_size', kvHeads, 'capacity', head]),
    );
    const inputs = [packed, '', '', ...pasts, lengths, total, cos, sin];
    const attributes = { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1, rotary_interleaved: 0 };
    const [attended = '', ...present] = g.contrib('GroupQueryAttention', inputs, 3, attributes);
    ['key', 'value'].forEach((kind, n) => {
      g.output(`present.${layer}.${kind}`, present[n]!, 'float32', ['batch_size', kvHeads, 'capacity', head]);
    });
    addNorm(linear(attended, `${prefix}.self_attn.o_proj`, width, width), `${prefix}.post_attention_layernorm`);
    const gate = linear(x, `${prefix}.mlp.gate_proj`, inner, width);
    const up = linear(x, `${prefix}.mlp.up_proj`, inner, width);
    const product = g.op('Mul', [g.op('Mul', [gate, g.op('Sigmoid', [gate])]), up]);
    const last = layer + 1 === layers ? 'model.norm' : `model.layers.${layer + 1}.input_layernorm`;
    addNorm(linear(product, `${prefix}.mlp.down_proj`, width, inner), last);
  }
  const last = face === 'hub' ? g.constant('last', 'int64', [1], dataOf(BigInt64Array.of(-1n))) : g.scalar(-1, 'int64');
  const token = g.op('Gather', [x, last], { axis: 1 });
  const dims = face === 'hub' ? ['batch_size', 1, vocabulary] : ['batch_size', vocabulary];
  g.output('logits', int4.linear(g, token, 'lm_head', table), 'float32', dims);
  return g.build();
}

function lengthsAsInputs(g: GraphBuilder): [lengths: Value, total: Value] {
  return [g.input('seqlens_k', 'int32', ['batch_size']), g.input('total_len', 'int32', [])];
}

function lengthsOfMask(g: GraphBuilder): [lengths: Value, total: Value] {
  const mask = g.input('attention_mask', 'int64', ['batch_size', 'total']);
  const int32 = (x: Value) => g.op('Cast', [x], { to: 6 });
  const axis = g.constant('axis', 'int64', [1], dataOf(BigInt64Array.of(1n)));
  const sum = g.op('ReduceSum', [mask, axis], { keepdims: 0 });
  const width = g.op('Gather', [g.op('Shape', [mask]), g.scalar(1, 'int64')], { axis: 0 });
  return [int32(g.op('Sub', [sum, g.scalar(1, 'int64')])), int32(width)];
}

function rotaryTables(g: GraphBuilder, head: number): [cos: Value, sin: Value] {
  const width = head / 2;
  const table = (name: string, of: (angle: number) => number) => {
    const values = Float32Array.from({ length: MAX_CONTEXT * width }, (_, at) =>
      of(Math.floor(at / width) * 10_000 ** (-(at % width) / width)),
    );
    return g.constant(name, 'float32', [MAX_CONTEXT, width], dataOf(values));
  };
  return [table('cos', Math.cos), table('sin', Math.sin)];
}
