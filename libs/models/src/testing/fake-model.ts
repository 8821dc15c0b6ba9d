/** A model and a session for specs of single tasks: the session answers what the spec says. */
import type { Joining, TextItem } from '@shoal/contracts';
import type { SessionPort, SessionTensor } from '../session.js';
import type { Model, Row } from '../types.js';
import { TEXT_INPUTS } from './model-folder.js';

export function fakeModel(overrides: Partial<Model>): Model {
  return {
    name: 'fake',
    version: '1',
    variant: 'fp32',
    variants: { fp32: '/nowhere/model.onnx' },
    folder: '/nowhere',
    task: 'text-classification',
    shoal: {},
    labels: [],
    maxTokens: 16,
    dimensions: null,
    inputs: TEXT_INPUTS,
    outputs: [{ name: 'logits', type: 'float32', shape: ['batch', 'classes'] }],
    batchable: true,
    text: {
      maxTokens: 16,
      vocabSize: 100,
      padId: 9,
      firstPosition: 0,
      pooling: ['mean'],
      normalize: true,
      pairTemplate: null,
      scoreFunction: 'softmax',
      prompts: { texts: new Map(), standard: null, pooled: true },
      lowerCase: false,
      truncationSide: 'right',
    },
    generator: null,
    original: 'fp32',
    quality: null,
    created: 0,
    queue: 'fake.1.fp32.0',
    ...overrides,
  };
}

export const ANY_LENGTH: Joining = { rows: 'any-length', reason: null };
export const SAME_SHAPE: Joining = { rows: 'same-shape', reason: null };

export interface FakeSession extends SessionPort {
  readonly feeds: Readonly<Record<string, SessionTensor>>[];
}

export function fakeSession(
  answer: (feeds: Readonly<Record<string, SessionTensor>>) => Readonly<Record<string, SessionTensor>>,
): FakeSession {
  const feeds: Readonly<Record<string, SessionTensor>>[] = [];
  return {
    feeds,
    run: async (given) => {
      feeds.push(given);
      return answer(given);
    },
    release: async () => {},
  };
}

export function floats(dims: readonly number[], values: readonly number[]): SessionTensor {
  return { type: 'float32', dims, data: Float32Array.from(values) };
}

export function textRow(ids: readonly number[], parameters: Row['parameters'], more: Partial<TextItem> = {}): Row {
  return { item: { kind: 'text', ids: Uint32Array.from(ids), ...more }, parameters };
}
