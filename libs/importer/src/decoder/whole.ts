/**
 * Decoders that write nothing: all of a text in one pass, without a cache, as encoders take it (input_ids, attention_mask), for
 * embeddings, for scores and to be trained. Tokens stand one behind the other without padding, [1, tokens, width]; only attention sees
 * the texts they are of.
 */
import { float, type Model, type Value } from '@shoal/onnx';
import type { BuildRequest } from '../architectures/types.js';
import { classesOf, readConfig, type WithLabels, withLabels } from '../config-fields.js';
import { EncoderGraph, INT32 } from '../encoder/graph.js';
import { finish } from '../encoder/heads.js';
import { invalid } from '../invalid.js';
import type { Precision } from '../precision/types.js';
import { Weights } from '../weights.js';
import type { DecoderConfig } from './config.js';
import { boundLogits, HEADS, headOf, NOT_READ, TRUNKS } from './graph.js';
import { layers, paddedHead, type Stack } from './layer.js';
import { rotaryReader } from './rotary.js';
import type { Traits } from './traits.js';

/**
 * `none`: the states of all tokens, for embeddings. `texts`: scores of classes, from the last token that is not padding.
 * `judge`: how much likelier the token for yes is to follow than the one for no, as the logarithm of the odds. `logits`: what may
 * follow each token, [tokens, vocabulary], tokens of all texts one behind the other, without padding.
 */
export type WholeHead = 'none' | 'texts' | 'judge' | 'logits';

/** @throws ShoalError `model_invalid` naming the tensor that is missing or has the wrong shape, or the field that is not supported */
export function buildWhole(request: BuildRequest, config: DecoderConfig, traits: Traits, head: WholeHead): Model {
  const { checkpoint, precision } = request;
  const { hidden, vocabulary, heads, kvHeads, headDim } = config;
  const whole = new Weights(checkpoint);
  const weights = whole.root(...TRUNKS);
  const e = new EncoderGraph(traits.name, precision);
  const { g } = e;
  const single = (x: Value) => g.op('Unsqueeze', [x, g.ints([0])]);
  const stack: Stack = {
    ...{ g, weights, config, traits, precision: ofTokens(precision) },
    attend: traits.bidirectional ? attendBothWays(e, config, traits) : attendBackwards(e, config, traits),
    tables: rotaryReader(g, {
      ...{ heads: heads + kvHeads, headDim, maxContext: traits.maxContext, positions: single(e.positions) },
      lengths() {
        throw invalid(
          'config.json: frequencies that change with the length of a text are supported for text-generation only',
        );
      },
    }),
  };
  const table = weights.matrix('embed_tokens.weight', vocabulary, hidden);
  const name = weights.name('embed_tokens.weight');
  const states = layers(stack, precision.embedding(g, single(e.perToken(e.ids)), name, table));
  const tokens = g.op('Reshape', [states, g.ints([-1, hidden])]);
  whole.ignore(...NOT_READ);
  if (head === 'none') {
    whole.ignore(...HEADS);
    return finish(e, 'none', tokens, hidden);
  }
  if (head === 'logits') {
    const { name, weight } = headOf(stack, checkpoint, table);
    const logits = boundLogits(g, precision.head(g, tokens, name, weight), traits);
    g.output('logits', logits, 'float32', ['tokens', vocabulary]);
    return g.build();
  }
  if (head === 'judge') {
    const { name, weight } = headOf(stack, checkpoint, table);
    const judge = judgeOf(request, vocabulary);
    const two = weight.pickRows(judge.length, (row) => judge[row]!);
    const logits = e.classify(e.last(tokens, hidden), { name, weight: two, bias: undefined });
    return finish(e, 'texts', difference(e, boundLogits(g, logits, traits), judge.length), 1);
  }
  whole.ignore(...HEADS);
  const { pad_token_id: pad, ...labels } = readConfig(withLabels, request.config);
  const classes = classesOf(labels satisfies WithLabels);
  const scores = e.classify(e.last(tokens, hidden, pad ?? undefined), whole.linear('score', hidden, classes, false));
  return finish(e, 'texts', scores, classes);
}

/** The token for yes, and the one for no where there is one. */
function judgeOf({ judge }: BuildRequest, vocabulary: number): readonly number[] {
  if (judge === undefined) throw invalid('which tokens stand for yes and for no is not known');
  const ids = judge.no === null ? [judge.yes] : [judge.yes, judge.no];
  const over = ids.find((id) => id >= vocabulary);
  if (over === undefined) return ids;
  throw invalid(`the token ${over}, which stands for yes or no, is not among the ${vocabulary} of vocab_size`);
}

/** [batch, 1]: the first of the logits less the second, where there is one. */
function difference({ g }: EncoderGraph, logits: Value, count: number): Value {
  if (count === 1) return logits;
  const [yes = '', no = ''] = g.ops('Split', [logits, g.ints([1, 1])], 2, { axis: 1 });
  return g.op('Sub', [yes, no]);
}

/** Some precisions multiply [tokens, width] only. */
function ofTokens(precision: Precision): Precision {
  return {
    ...precision,
    linear(g, x, name, weight, bias) {
      const flat = g.op('Reshape', [x, g.ints([-1, weight.columns])]);
      return g.op('Unsqueeze', [precision.linear(g, flat, name, weight, bias), g.ints([0])]);
    },
  };
}

/** Each token gathers from those before it and itself, of its own text; of a window of them where the layer has one. */
function attendBackwards(e: EncoderGraph, config: DecoderConfig, traits: Traits): Stack['attend'] {
  const { g } = e;
  const { heads, kvHeads, headDim } = config;
  const [width, all] = [paddedHead(config) * heads, paddedHead(config) * (heads + 2 * kvHeads)];
  const last = g.op('Sub', [e.lengths, g.scalar(1, 'int64')]);
  const lengths = g.op('Cast', [last], { to: INT32 });
  const total = g.op('Cast', [g.op('Shape', [e.ids], { start: 1, end: 2 })], { to: INT32 });
  return (qkv, layer) => {
    const { window } = traits.layer(layer);
    const [rows = ''] = e.rows(g.op('Reshape', [qkv, g.ints([-1, all])]), 1, all);
    const [attended = ''] = g.contrib('GroupQueryAttention', [rows, '', '', '', '', lengths, total], 3, {
      num_heads: heads,
      kv_num_heads: kvHeads,
      scale: float(traits.attentionScale ?? 1 / Math.sqrt(headDim)),
      ...(traits.attentionCap !== undefined && { softcap: float(traits.attentionCap) }),
      ...(window !== undefined && { local_window_size: window }),
    });
    return g.op('Unsqueeze', [e.tokens(attended, width), g.ints([0])]);
  };
}

/** Each token gathers from all of its text, or from those at most half a window away (transformers' way for Gemma 3). */
function attendBothWays(e: EncoderGraph, config: DecoderConfig, traits: Traits): Stack['attend'] {
  const { g } = e;
  const { heads, kvHeads, headDim } = config;
  const size = paddedHead(config);
  const all = size * (heads + 2 * kvHeads);
  const group = heads / kvHeads;
  const biases = new Map<number | undefined, Value>();
  const biasOf = (window: number | undefined): Value => {
    const made =
      biases.get(window) ??
      g.op('Unsqueeze', [window === undefined ? e.padding : e.nearby(Math.floor(window / 2)), g.ints([1])]);
    biases.set(window, made);
    return made;
  };
  return (qkv, layer) => {
    const [rows = ''] = e.rows(g.op('Reshape', [qkv, g.ints([-1, all])]), 1, all);
    const parts = g.ops('Split', [rows, g.ints([heads * size, kvHeads * size, kvHeads * size])], 3, { axis: 2 });
    // Heads that share keys and values stand side by side: [batch, kvHeads, group or 1, sequence, size].
    const [query = '', key = '', value = ''] = parts.map((part, n) =>
      g.op('Transpose', [g.op('Reshape', [part, g.ints([0, 0, kvHeads, n === 0 ? group : 1, size])])], {
        perm: n === 1 ? [0, 2, 3, 4, 1] : [0, 2, 3, 1, 4],
      }),
    );
    const scaled = g.op('Mul', [query, g.scalar(traits.attentionScale ?? 1 / Math.sqrt(headDim))]);
    const scores = bounded(g.op('MatMul', [scaled, key]));
    const shares = g.op('Softmax', [g.op('Add', [scores, biasOf(traits.layer(layer).window)])], { axis: -1 });
    const mixed = g.op('Transpose', [g.op('MatMul', [shares, value])], { perm: [0, 3, 1, 2, 4] });
    const attended = g.op('Reshape', [mixed, g.ints([0, 0, heads * size])]);
    return g.op('Unsqueeze', [e.tokens(attended, heads * size), g.ints([0])]);
  };

  function bounded(scores: Value): Value {
    if (traits.attentionCap === undefined) return scores;
    const cap = g.scalar(traits.attentionCap);
    return g.op('Mul', [g.op('Tanh', [g.op('Div', [scores, cap])]), cap]);
  }
}
