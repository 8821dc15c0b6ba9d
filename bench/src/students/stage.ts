/** What the sections about students share: what they are made on, and the topics of nouns that they learn. */
import type { Runtime } from '@shoal/onnxruntime';
import type { Data, Example } from '@shoal/optimizer';
import type { Synset } from './wordnet.js';

export interface StudentsOptions {
  readonly rounds: number;
  readonly scale: number;
  readonly say: (line: string) => void;
}

export interface Stage {
  readonly runtime: Runtime;
  readonly options: StudentsOptions;
  /** In an order of chance, without those that models are judged by. */
  readonly records: readonly Synset[];
  readonly random: () => number;
}

export interface Labelled {
  readonly text: string;
  readonly label: string;
}

/** Texts that choices are made by. */
export const CHOICE = 2000;
/** Nouns that there are to learn from, of which as many have a topic. */
const TOPIC_TEXTS = 50_000;

/** Definitions of nouns with their topics; the verdict is by the bundled examples. */
export function topicData({ records, options }: Stage, topics: readonly Labelled[]): Data {
  const example = ({ text, label }: Labelled): Example => ({ kind: 'text', text, label });
  const nouns = records.flatMap(({ definition, topic }) =>
    topic === undefined ? [] : [example({ text: definition, label: topic })],
  );
  const learnt = nouns.slice(CHOICE, CHOICE + TOPIC_TEXTS * options.scale);
  return dataOf(learnt, nouns.slice(0, CHOICE), topics.map(example));
}

export function dataOf(
  calibration: readonly Example[],
  choice: readonly Example[],
  verdict: readonly Example[] = [],
): Data {
  const part = (items: readonly Example[]) => ({
    kind: items[0]?.kind ?? 'text',
    items,
    labelled: items.length > 0 && items.every((item) => item.kind === 'text' && item.label !== undefined),
  });
  return {
    ...{ file: 'WordNet', sha256: '0'.repeat(64) },
    ...{ calibration: part(calibration), choice: part(choice), verdict: part(verdict) },
  };
}
