/** Dialogues of the kinds that wordnet-lm was trained with, made of WordNet anew: for it to be trained further with. */
import type { Synset } from './students/wordnet.js';

/** The markers are the model's own; see its chat_template.jinja. */
function render(question: string, answer: string): string {
  return `<|user|>\n${question}<|end|>\n<|assistant|>\n${answer}<|end|>\n`;
}

const ASKED = /^<\|user\|>\n(?:Which word means: )?(.*?)\??<\|end\|>\n<\|assistant\|>\n(.*?)<\|end\|>/s;

/** Several of each record; none of a record that has a definition or an example in common with the dialogues `held`. */
export function dialogues(
  records: readonly Synset[],
  held: readonly string[],
  random: () => number,
): readonly string[] {
  const kept = new Set(held.flatMap((text) => ASKED.exec(text)?.slice(1) ?? []));
  const whole = new Set(held);
  return records
    .filter(({ definition, examples }) => ![definition, ...examples].some((text) => kept.has(text)))
    .flatMap((record) => about(record, random))
    .filter((text) => !whole.has(text));
}

function about({ words, part, definition, examples, topic }: Synset, random: () => number): readonly string[] {
  const all = words.split(', ');
  const any = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)]!;
  const word = any(all);
  const others = all.filter((other) => other !== word);
  return [
    render(`Define ${word} (${part}).`, definition),
    render(`Which word means: ${definition}?`, all.slice(0, 3).join(', ')),
    ...(examples.length === 0 ? [] : [render(`Use ${word} in a sentence.`, any(examples))]),
    ...(topic === undefined ? [] : [render(`What kind of thing is ${word}?`, topic)]),
    ...(others.length === 0 ? [] : [render(`Give a synonym of ${word}.`, others[0]!)]),
  ];
}
