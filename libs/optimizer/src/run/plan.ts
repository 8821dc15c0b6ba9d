/** What a run will try, the most promising first, and what its methods cannot make of this model. */
import { nearestNames, ShoalError } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import { withoutFloats } from '../methods/without-floats.js';
import type { Candidate, Limits, Method, Subject } from '../types.js';

export interface Plan {
  readonly candidates: readonly Candidate[];
  /** Methods that can make nothing, or not this; those for models of other tasks in one. */
  readonly impossible: readonly { readonly method: string; readonly why: string }[];
}

/**
 * `names`: of methods that may be tried; empty: all. The first candidate of each method comes before the second of any.
 *
 * @throws ShoalError `invalid_request` for a name that no method has
 */
export async function planOf(
  subject: Subject,
  methods: readonly Method[],
  names: readonly string[],
  limits?: Limits,
): Promise<Plan> {
  const wanted = chosen(methods, names);
  const others = wanted.filter((method) => !isFor(method, subject));
  const impossible = others.length === 0 ? [] : [{ method: namesOf(others), why: 'for models of other tasks' }];
  const offered: (readonly Candidate[])[] = [];
  for (const method of wanted.filter((one) => !others.includes(one))) {
    const found = await offersOf(method, subject, limits);
    if (typeof found === 'string') impossible.push({ method: method.name, why: found });
    else offered.push(found);
  }
  const candidates: Candidate[] = [];
  for (const candidate of takingTurns(offered)) {
    const why = reasonAgainst(candidate, subject, candidates);
    if (why === undefined) candidates.push(candidate);
    else impossible.push({ method: candidate.method, why });
  }
  return { candidates, impossible: merged(impossible) };
}

/** Methods with the same reason in one. */
function merged(impossible: Plan['impossible']): Plan['impossible'] {
  const byReason = new Map<string, string[]>();
  for (const { method, why } of impossible) byReason.set(why, [...(byReason.get(why) ?? []), method]);
  return [...byReason].map(([why, methods]) => ({ method: [...new Set(methods)].join(', '), why }));
}

/** Why a plan is empty, in one line: of a model in rounded weights alone what is missing, else the reason of each method. */
export function nothingToTry({ name, ...original }: Pick<Model, 'name' | 'variant' | 'variants'>, plan: Plan): string {
  const without = withoutFloats(original);
  const [first] = plan.impossible.filter(({ why }) => why === without);
  const why = first?.why ?? plan.impossible.map((one) => `${one.method}: ${one.why}`).join('; ');
  return `nothing can be made of ${name}: ${why}`;
}

function chosen(methods: readonly Method[], names: readonly string[]): readonly Method[] {
  const known = methods.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const near = nearestNames(unknown, known);
    const hint = near.length > 0 ? `did you mean ${near.join(' or ')}?` : `there are ${known.join(', ')}`;
    throw new ShoalError('invalid_request', `there is no method ${JSON.stringify(unknown)}: ${hint}`);
  }
  return methods.filter(({ name }) => names.length === 0 || names.includes(name));
}

function isFor({ tasks }: Method, { original }: Subject): boolean {
  return tasks === undefined || tasks.includes(original.task);
}

function namesOf(methods: readonly Method[]): string {
  return methods.map(({ name }) => name).join(', ');
}

async function offersOf(
  method: Method,
  subject: Subject,
  limits: Limits | undefined,
): Promise<readonly Candidate[] | string> {
  try {
    return await method.plan(subject, limits);
  } catch (error) {
    if (error instanceof ShoalError) return error.message;
    throw error;
  }
}

function* takingTurns<T>(lists: readonly (readonly T[])[]): Iterable<T> {
  const most = Math.max(0, ...lists.map(({ length }) => length));
  for (let n = 0; n < most; n++) for (const list of lists) if (list[n] !== undefined) yield list[n]!;
}

function reasonAgainst(
  { method, variant }: Candidate,
  { original }: Subject,
  before: readonly Candidate[],
): string | undefined {
  if (variant === original.variant) return `${variant} is what others are compared with`;
  const other = before.find((candidate) => candidate.variant === variant);
  return (
    other && `its variant ${variant} has the name of one that ${other.method === method ? 'it' : other.method} makes`
  );
}
