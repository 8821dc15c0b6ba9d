/**
 * Proposals without a second model: what followed the latest tokens before is likely to follow them again, where texts are quoted,
 * edited or repeated (prompt lookup decoding, Saxena 2023). They are verified, so a wrong one costs time and nothing else.
 */

/** Tokens that have to be the same: three say more, two are found more often. */
const LONGEST = 3;
const SHORTEST = 2;
const NONE = new Uint32Array(0);

/**
 * At most `count` tokens that may follow `tokens`, which are prompt and answer so far. A `prediction` of the answer is looked
 * into first; it begins with the end of the prompt, so that it is found from the first token on.
 */
export function lookUp(tokens: Uint32Array, prediction: Uint32Array | null, count: number): Uint32Array {
  for (let length = LONGEST; length >= SHORTEST; length--) {
    if (tokens.length < length) continue;
    const latest = tokens.subarray(tokens.length - length);
    for (const text of prediction === null ? [tokens] : [prediction, tokens]) {
      const found = follow(text, latest, count);
      if (found.length > 0) return found;
    }
  }
  return NONE;
}

/** As the caller of a request gives its prediction: behind the end of its prompt. */
export function predictionOf(prompt: Uint32Array, prediction: Uint32Array | null): Uint32Array | null {
  if (prediction === null) return null;
  const end = prompt.subarray(Math.max(0, prompt.length - LONGEST));
  const whole = new Uint32Array(end.length + prediction.length);
  whole.set(end);
  whole.set(prediction, end.length);
  return whole;
}

/**
 * What follows the last place where `latest` stands in `text`: the nearest is most alike. One near the end is followed by few
 * tokens, as in a text that goes round in circles: the last that is followed by `count` is better.
 */
function follow(text: Uint32Array, latest: Uint32Array, count: number): Uint32Array {
  const [first] = latest;
  let longest = NONE;
  for (let at = text.lastIndexOf(first!, text.length - latest.length - 1); at >= 0; ) {
    if (latest.every((token, n) => text[at + n] === token)) {
      const found = text.slice(at + latest.length, at + latest.length + count);
      if (found.length === count) return found;
      if (found.length > longest.length) longest = found;
    }
    at = at === 0 ? -1 : text.lastIndexOf(first!, at - 1);
  }
  return longest;
}
