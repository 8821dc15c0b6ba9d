/**
 * Which stacks are worth a trial: of candidates that were measured alone, on the part that choices are made by. The most promising comes
 * next, and what came of it counts for those after it.
 */
import { LEAST_GAIN } from '../gate/judge.js';
import type { Outcome, Row } from '../report/types.js';
import { lossOf } from '../report/words.js';
import { type Candidate, type Comparison, type Method, STAGES } from '../types.js';
import { mayBeFaster, speedOf } from './finalists.js';
import { stackOf } from './stack.js';

/** Each takes about as long as a candidate alone, and all that come to a verdict share its error. */
export const MOST_STACKS = 6;

/** Whether a candidate may begin from another one. */
export type Follows = (last: Candidate, onto: Candidate) => boolean;

/** By the stages of their methods. */
export function followsBy(methods: readonly Method[]): Follows {
  const stages = new Map(methods.map(({ name, stage }) => [name, stage && STAGES.indexOf(stage)]));
  return (last, onto) => {
    const [own, before] = [stages.get(last.method), stages.get(onto.method)];
    return own !== undefined && before !== undefined && before < own;
  };
}

/** Every stack of these candidates that there could be. */
export function possibleStacks(candidates: readonly Candidate[], follows: Follows): readonly Candidate[] {
  const all = [...candidates];
  // An array is walked to its end, what is added on the way included.
  for (const onto of all) {
    for (const last of candidates) if (follows(last, onto)) all.push(stackOf(onto, last));
  }
  return all.slice(candidates.length);
}

/**
 * The most promising stack that has no row yet: of the largest product of its parts' speeds, where each part may be faster and the sum
 * of their losses is allowed. Undefined: there is none, or as many as may be were tried. What it begins from may be a stack
 * that is ahead of its parts.
 */
export function nextStack(rows: readonly Row[], follows: Follows, allowed: number): Candidate | undefined {
  const tried = new Set(rows.flatMap(({ candidate }) => (candidate.parts === undefined ? [] : [candidate.variant])));
  if (tried.size >= MOST_STACKS) return undefined;
  const able = rows.flatMap(({ candidate, choice, outcome }): Able[] => {
    const good = choice !== undefined && outcome === 'waiting' && isWithin(choice, allowed);
    return good ? [{ candidate, loss: choice.loss.mean, speed: speedOf(choice.speeds) }] : [];
  });
  let best: { readonly stack: Candidate; readonly speed: number } | undefined;
  for (const onto of able) {
    for (const last of able.filter(({ candidate }) => candidate.parts === undefined)) {
      if (!follows(last.candidate, onto.candidate) || onto.loss + last.loss > allowed) continue;
      const [stack, speed] = [stackOf(onto.candidate, last.candidate), onto.speed * last.speed];
      if (!tried.has(stack.variant) && (best === undefined || speed > best.speed)) best = { stack, speed };
    }
  }
  return best?.stack;
}

interface Able {
  readonly candidate: Candidate;
  readonly loss: number;
  readonly speed: number;
}

function isWithin({ loss, speeds }: Comparison, allowed: number): boolean {
  return loss.mean <= allowed && mayBeFaster(speeds);
}

/** Why a stack that was measured needs no verdict; undefined: it is ahead of its parts. */
export function behindParts(
  stack: Row,
  rowOf: (candidate: Candidate) => Row,
  allowed: number,
): { readonly outcome: Outcome; readonly reason: string } | undefined {
  const { parts } = stack.candidate;
  if (parts === undefined || stack.choice === undefined) return undefined;
  const { mean } = stack.choice.loss;
  if (mean > allowed) {
    const reason = `together they lose ${lossOf(mean)}, by the texts that choices are made by; ${lossOf(allowed)} is allowed`;
    return { outcome: 'refused', reason };
  }
  const better = parts.find((part) => !isAhead(stack, rowOf(part)));
  return better && { outcome: 'outdone', reason: `${better.variant} alone is as good` };
}

/** Faster by more than chance, or as fast in fewer bytes. */
function isAhead(stack: Row, part: Row): boolean {
  const gain = speedOf(stack.choice!.speeds) / speedOf(part.choice!.speeds);
  if (gain > LEAST_GAIN) return true;
  return gain * LEAST_GAIN >= 1 && stack.bytes! * LEAST_GAIN < part.bytes!;
}
