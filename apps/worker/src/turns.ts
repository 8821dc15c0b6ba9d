/** Whose turn it is at a generator's rows, and who makes way for it. Pure functions over what waits and what runs. */
import type { ClaimedItem, Place } from '@shoal/queue';

/** Tokens after which a row makes way in any case: what is urgent waits for no more. */
const LONGEST_STAY = 256;

type Turn = Pick<ClaimedItem, 'tenant' | 'rank' | 'strikes' | 'written'> & { readonly lock: Pick<Place, 'tag'> };

interface Waiting {
  readonly item: Turn;
}

interface Running extends Waiting {
  /** In tokens, those included that were written when the item was claimed. */
  readonly answer: { readonly length: number };
}

/** In the fair order; in the places of each tenant what is of its best rank comes first. */
export function inTurn<Row extends Waiting>(waiting: readonly Row[]): Row[] {
  const places = [...waiting].sort((a, b) => a.item.lock.tag - b.item.lock.tag);
  const byTenant = new Map<string, Row[]>();
  for (const row of places.toSorted((a, b) => a.item.rank - b.item.rank)) {
    const own = byTenant.get(row.item.tenant);
    if (own) own.push(row);
    else byTenant.set(row.item.tenant, [row]);
  }
  return places.map(({ item }) => byTenant.get(item.tenant)!.shift()!);
}

/** Whether what stands at `by` comes before the first one that waits, or has a better rank than another one of its tenant. */
export function isPreceded(waiting: readonly Waiting[], by: Place): boolean {
  const first = inTurn(waiting)[0]?.item;
  if (first === undefined) return false;
  if (first.tenant === by.tenant && first.rank < by.rank) return false;
  return by.tag < first.lock.tag || waiting.some(({ item }) => item.tenant === by.tenant && item.rank > by.rank);
}

export interface Turns<Row> {
  readonly starts: readonly Row[];
  /** Running ones whose rows those need. */
  readonly leave: readonly Row[];
}

/**
 * Who starts now. `free`: rows that nobody has. `unproven`: what has begun, and counts a strike should this process end. Where a
 * suspect is among these it is alone: a death that was its doing is blamed on nobody else.
 */
export function nextTurns<Row extends Running>(
  waiting: readonly Row[],
  running: readonly Row[],
  unproven: readonly Waiting[],
  free: number,
): Turns<Row> {
  const starts: Row[] = [];
  const leave: Row[] = [];
  if (unproven.some(isSuspect)) return { starts, leave };
  for (const row of inTurn(waiting)) {
    const suspect = isSuspect(row);
    if (suspect && (unproven.length > 0 || starts.length > 0)) break;
    const hasRow = starts.length - leave.length < free;
    const leaving = hasRow ? undefined : whoMakesWay(row, running, leave);
    // What others need not make way for does not keep them from making way for what comes behind it.
    if (hasRow || leaving) starts.push(row);
    if (leaving) leave.push(leaving);
    if (suspect) break;
  }
  return { starts, leave };
}

/** Of the lowest rank of the same tenant the last one in the fair order. */
function whoMakesWay<Row extends Running>(
  { item }: Row,
  running: readonly Row[],
  leaving: readonly Row[],
): Row | undefined {
  const able = running.filter(
    (row) => row.item.tenant === item.tenant && row.item.rank > item.rank && canLeave(row) && !leaving.includes(row),
  );
  return able.sort((a, b) => b.item.rank - a.item.rank || b.item.lock.tag - a.item.lock.tag)[0];
}

/**
 * Wherever a text goes on it first goes through what there is of it, a token a step. So it stays until it has made as many tokens
 * here, within limits: however often it makes way, it gets on, and half of what is done for it is new.
 */
function canLeave({ item, answer }: Running): boolean {
  return answer.length - item.written >= Math.max(1, Math.min(item.written, LONGEST_STAY));
}

function isSuspect({ item }: Waiting): boolean {
  return item.strikes > 0;
}
