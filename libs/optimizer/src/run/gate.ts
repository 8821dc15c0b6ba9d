/** The verdict on a finalist, and what follows from it: it is put in place, or nothing is left of it. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type GraphIdentity, ShoalError, type VariantQuality } from '@shoal/contracts';
import { graphFiles, stampOf } from '@shoal/models';
import { graphFileOf } from '../candidate-folder.js';
import { judge } from '../gate/judge.js';
import type { TrialEntry } from '../journal/entries.js';
import { printOfGraph } from '../journal/keys.js';
import type { FolderLock } from '../journal/lock.js';
import { writeQuality } from '../quality/quality-file.js';
import type { MeasureOptions } from '../trial/messages.js';
import type { Allowed, Candidate, Subject, Verdict } from '../types.js';
import { diskFull, isDiskFull } from './disk-full.js';
import { placeVariant } from './place-variant.js';
import type { Rows } from './rows.js';
import type { Left, MadeEntry, Trials } from './trials.js';

export interface GateOptions {
  readonly subject: Subject;
  /** The original's graph, when the run began: trials have made sure that it is the one that they measured beside. */
  readonly beside: GraphIdentity;
  readonly allowed: Allowed;
  readonly force: boolean;
  readonly machine: string;
  readonly trials: Trials;
  readonly rows: Rows;
  readonly signal: AbortSignal;
  readonly lock: Pick<FolderLock, 'check'>;
}

/** How a graph is judged. */
export interface Sureness {
  readonly measuring: MeasureOptions;
  /** Why it cannot pass, whatever comes of it. */
  readonly veto?: string;
}

type MeasuredEntry = Extract<TrialEntry, { kind: 'measured' }>;

/**
 * @param surenessOf what a graph of this SHA-256 is judged by: made again it may come out otherwise, and then is another one
 * @throws the signal's reason; ShoalError where the disk is full
 */
export async function passOrRefuse(
  candidate: Candidate,
  surenessOf: (sha256: string) => Sureness,
  left: Left,
  options: GateOptions,
): Promise<void> {
  const { trials, rows, allowed, force } = options;
  for (;;) {
    const made = trials.known(candidate) as MadeEntry;
    const { measuring, veto } = surenessOf(made.sha256);
    if (trials.knownMeasure(candidate, 'verdict', measuring) === undefined) {
      const present = await trials.present(candidate, left);
      if (!rows.note(candidate, present) || present?.kind !== 'made') return;
      if (present.sha256 !== made.sha256) continue;
    }
    const measured = await trials.measure(candidate, 'verdict', measuring, left);
    if (!rows.note(candidate, measured) || measured?.kind !== 'measured') return;
    const verdict: Verdict =
      veto === undefined ? judge(measured.comparison, allowed, measuring.alpha) : { kind: 'too_few', reason: veto };
    const inPlace = await isInPlace(candidate, made, options);
    if (verdict.kind !== 'passed' && !force) {
      const there = inPlace ? '; the variant, which an earlier command has put in place, stays' : '';
      rows.end(candidate, 'refused', `${verdict.reason}${there}`);
      return trials.discard(candidate);
    }
    if (!inPlace) {
      const present = await trials.present(candidate, left);
      if (!rows.note(candidate, present) || present?.kind !== 'made') return;
      // Made again it came out otherwise: that was not measured.
      if (present.sha256 !== made.sha256) continue;
      if (await isTaken(candidate, options)) {
        rows.end(candidate, 'refused', 'another file has come to its place meanwhile: --force replaces it');
        return trials.discard(candidate);
      }
    }
    const reason = verdict.kind === 'passed' ? undefined : verdict.reason;
    await keep({ candidate, made, measured, reason, inPlace }, options);
    rows.end(candidate, reason === undefined ? 'passed' : 'forced', reason);
    return trials.discard(candidate);
  }
}

/**
 * Whether the version has a variant of that name, or a file in its place, which is not this candidate. Asked before anything is made
 * in vain, and again before it is put in place: a run takes hours. A file that serves under another name is never replaced.
 *
 * @throws ShoalError `model_invalid` where it cannot be read
 */
export async function isTaken(candidate: Candidate, options: Omit<GateOptions, 'rows'>): Promise<boolean> {
  const { subject, force, trials, signal } = options;
  const { folder, variants } = subject.original;
  const target = join(folder, graphFileOf(candidate.variant));
  if (Object.entries(variants).some(([name, path]) => name !== candidate.variant && path === target)) return true;
  const path = variants[candidate.variant] ?? target;
  if (force || !(existsSync(path) || existsSync(`${target}.data`))) return false;
  const made = trials.known(candidate);
  return made?.kind !== 'made' || !existsSync(path) || (await printOfGraph(path, signal)).sha256 !== made.sha256;
}

async function isInPlace(
  { variant }: Candidate,
  { sha256 }: MadeEntry,
  { subject, signal }: Pick<GateOptions, 'subject' | 'signal'>,
): Promise<boolean> {
  const path = subject.original.variants[variant];
  return path !== undefined && existsSync(path) && (await printOfGraph(path, signal)).sha256 === sha256;
}

interface Kept {
  readonly candidate: Candidate;
  readonly made: MadeEntry;
  readonly measured: MeasuredEntry;
  /** Why it did not pass; undefined: it did. */
  readonly reason: string | undefined;
  readonly inPlace: boolean;
}

async function keep({ candidate, made, measured, reason, inPlace }: Kept, options: GateOptions): Promise<void> {
  const { subject, beside, allowed, machine, trials, signal, lock } = options;
  const { original, data } = subject;
  const { loss, speeds, escalated } = measured.comparison;
  const quality: Omit<VariantQuality, 'graph'> = {
    ...{ beside, verdict: reason === undefined ? 'passed' : 'forced', method: made.made.method },
    ...(reason !== undefined && { reason: reason.slice(0, 1000) }),
    loss: { ...loss, allowed: allowed.loss },
    ...(escalated !== undefined && { escalated }),
    ...{ speeds, data: { file: basename(data.file), sha256: data.sha256 }, machine, measured: measured.at },
  };
  const note = async (stamp: string) => {
    const graph = { sha256: made.sha256, stamp };
    await writeQuality(original.folder, candidate.variant, { graph, ...quality }, original.variant);
  };
  lock.check();
  if (inPlace) return await note(await stampOf(graphFiles(original.variants[candidate.variant]!)));
  signal.throwIfAborted();
  try {
    await placeVariant(original, candidate.variant, trials.graphOf(candidate), note);
  } catch (error) {
    throw isDiskFull(error) ? diskFull(original.folder, error) : readOnly(error, original.folder);
  }
}

/** Of a folder of models that may only be read. */
function readOnly(error: unknown, folder: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== 'EACCES' && code !== 'EROFS' && code !== 'EPERM') return error;
  return new ShoalError('model_invalid', `${folder} cannot be written to (${code}): what passed cannot be put there`, {
    cause: error,
  });
}
