/**
 * How often a regular expression can go back on its way through a text. Oniguruma, which runs those of a tokenizer.json, gives
 * up after 10 million times for one match, and the tokenizers library cannot report that: the process ends.
 *
 * Parsed by oniguruma-parser, which knows this dialect (classes in classes, `&&`, possessive quantifiers); checkers of
 * JavaScript's expressions (recheck, safe-regex2, regexpp) do not. What is counted is a bound from above, without a look at which
 * characters classes have in common, so some harmless expressions are refused; published tokenizers use none of them.
 */
import { type AlternativeElementNode, type AlternativeNode, parse, type QuantifierNode } from 'oniguruma-parser/parser';

/** In characters: the longest that is published has 3,000. */
const MAX_PATTERN = 8192;
/** Of a pattern in which repetitions are written out, as they are when it is compiled. */
const MAX_SIZE = 20_000;
const MAX_DEPTH = 50;
/** More repetitions than this count as any number of them. */
const MANY = 64;
/** Ways through a text that do not become more with its length. */
const MOST_FIXED = 1000;

/** In how many ways something can match at one place: `factor` times the length of the text to the power of `degree`. */
interface Ways {
  readonly degree: number;
  readonly factor: number;
}

const ONE: Ways = { degree: 0, factor: 1 };

/** Why an expression is refused, in words that go on from it: "... repeats". */
class Refusal extends Error {}

export type Backtracking = { readonly perCharacter: number } | { readonly refused: string };

/** How often `pattern` goes back for each character of a text at most: 0 or a small number, or it is refused. */
export function backtracking(pattern: string): Backtracking {
  if (pattern.length > MAX_PATTERN) return { refused: `has more than ${MAX_PATTERN} characters` };
  try {
    const judge = new Judge();
    judge.alternatives(parsed(pattern), ONE, 0, 1);
    return { perCharacter: judge.perCharacter };
  } catch (error) {
    if (error instanceof Refusal) return { refused: error.message };
    throw error;
  }
}

function parsed(pattern: string): readonly AlternativeNode[] {
  try {
    return parse(pattern, { skipPropertyNameValidation: true }).body;
  } catch (error) {
    throw new Refusal(`cannot be read (${error instanceof Error ? error.message : String(error)})`);
  }
}

class Judge {
  perCharacter = 0;
  #size = 0;

  /**
   * `before`: ways to come to here, each of which is tried again where something from here on fails; `copies`: how often it is
   * written out. Returns the ways through.
   */
  alternatives(branches: readonly AlternativeNode[], before: Ways, depth: number, copies: number): Ways {
    if (depth > MAX_DEPTH) throw new Refusal('is nested too deeply');
    const ways = branches.map(({ body }) => {
      let through = ONE;
      for (const element of body)
        through = times(through, this.#element(element, times(before, through), depth, copies));
      return through;
    });
    return isExclusive(branches) ? ways.reduce(larger) : ways.reduce(plus);
  }

  #element(node: AlternativeElementNode, before: Ways, depth: number, copies: number): Ways {
    this.#size += copies;
    if (this.#size > MAX_SIZE) throw new Refusal('repeats too much');
    switch (node.type) {
      case 'Character':
      case 'CharacterClass':
      case 'CharacterSet':
      case 'Assertion':
        this.#mayFail(before);
        return ONE;
      case 'Group':
      case 'CapturingGroup': {
        const ways = this.alternatives(node.body, before, depth + 1, copies);
        return node.type === 'Group' && node.atomic ? ONE : ways;
      }
      case 'LookaroundAssertion':
        this.alternatives(node.body, before, depth + 1, copies);
        this.#mayFail(before);
        return ONE;
      case 'Quantifier':
        return this.#quantifier(node, before, depth, copies);
      case 'Directive':
        if (node.kind === 'flags') return ONE;
        throw new Refusal('has \\K');
      default:
        throw new Refusal(`has a ${node.type === 'Backreference' ? 'backreference' : 'call'}`);
    }
  }

  #quantifier({ body, kind, min, max }: QuantifierNode, before: Ways, depth: number, copies: number): Ways {
    const written = Math.max(1, Number.isFinite(max) ? max : min);
    // Where none is needed and it fails, the way goes on behind it, not back.
    const inside = this.#element(body, min > 0 ? before : ONE, depth + 1, copies * written);
    const ways = kind === 'possessive' ? ONE : repeated(inside, min, max);
    if (max > 1 && !Number.isFinite(max) && canBeEmpty(body)) throw new Refusal('repeats what can be empty');
    if (max > 1 && (inside.degree > 0 || inside.factor ** Math.min(max, MANY) > MOST_FIXED)) {
      throw new Refusal('repeats what can match the same text in several ways');
    }
    return ways;
  }

  /** Something that comes after `before` ways. */
  #mayFail({ degree, factor }: Ways): void {
    if (degree > 1) throw new Refusal('can divide a text between its repetitions in too many ways');
    if (degree === 1) this.perCharacter = Math.max(this.perCharacter, factor);
    else if (factor > MOST_FIXED) throw new Refusal('can match the same text in too many ways');
  }
}

function repeated(inside: Ways, min: number, max: number): Ways {
  if (max <= 1) return min === max ? inside : plus(ONE, inside);
  const counts: Ways = max - min >= MANY ? { degree: 1, factor: 1 } : { degree: 0, factor: max - min + 1 };
  return Number.isFinite(max) ? times(counts, { ...ONE, factor: inside.factor ** Math.min(max, MANY) }) : counts;
}

function times(a: Ways, b: Ways): Ways {
  return { degree: a.degree + b.degree, factor: a.factor * b.factor };
}

function plus(a: Ways, b: Ways): Ways {
  return { degree: Math.max(a.degree, b.degree), factor: a.factor + b.factor };
}

function larger(a: Ways, b: Ways): Ways {
  return { degree: Math.max(a.degree, b.degree), factor: Math.max(a.factor, b.factor) };
}

/** Whether no two branches can match at one place, since they begin with different words. */
function isExclusive(branches: readonly AlternativeNode[]): boolean {
  const words = branches.map(({ body }) => {
    // Other characters may be alike where case means nothing.
    const end = body.findIndex((node) => node.type !== 'Character' || node.value > 127);
    const characters = end < 0 ? body : body.slice(0, end);
    return characters.map((node) => (node.type === 'Character' ? String.fromCharCode(node.value) : '')).join('');
  });
  const sorted = words.map((word) => word.toLowerCase()).sort();
  return sorted.every((word, n) => n === 0 || !word.startsWith(sorted[n - 1]!));
}

function canBeEmpty(node: AlternativeElementNode): boolean {
  switch (node.type) {
    case 'Character':
    case 'CharacterClass':
    case 'CharacterSet':
      return false;
    case 'Group':
    case 'CapturingGroup':
      return node.body.some(({ body }) => body.every(canBeEmpty));
    case 'Quantifier':
      return node.min === 0 || canBeEmpty(node.body);
    default:
      return true;
  }
}

/** Whether `pattern`, which is not refused, can match nothing. */
export function matchesNothing(pattern: string): boolean {
  return parsed(pattern).some(({ body }) => body.every(canBeEmpty));
}
