/** What the status bar says of the notebook in front. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Model } from './model.js';
import { isWaiting } from './model.js';
import type { ILease, IProblem, IReading } from './views.js';
import {
  busy,
  busyInFull,
  explained,
  fullness,
  memory,
  until,
  utilization,
  wait
} from './wording.js';

/**
 * unknown: nothing was answered yet; quiet: nothing with a kernel is in front; none: no slice;
 * broken: no news, for the reason in the details.
 */
export type StatusKind = 'unknown' | 'quiet' | 'none' | 'waiting' | 'starting' | 'held' | 'broken';

export interface IStatus {
  readonly kind: StatusKind;
  readonly text: string;
  /** More of it, for a tooltip. */
  readonly details: string;
  readonly lease: ILease | null;
  /** "3.2 of 4.8 GiB"; null: not known. */
  readonly memory: string | null;
  /** From 0 to 1; null: not known. */
  readonly fullness: number | null;
  /** "SM 43 %"; null: not known, for the reason in the details. */
  readonly busy: string | null;
}

/** What is in front, as far as it matters here. */
export interface IInFront {
  /** Whether a notebook or console is. */
  readonly isThere: boolean;
  readonly kernelId: string | null;
}

/** The end of a slice is said in the status bar itself when it is that near. */
const ENDING_SECONDS = 600;

/** Errors that mean that this machine has no slices, and not that something broke. */
const NO_SLICES_HERE = ['no-driver', 'not-supported', 'unknown-driver'];

export function statusOf(trans: TranslationBundle, model: Model, front: IInFront): IStatus {
  const lease = front.kernelId === null ? null : model.leaseOf(front.kernelId);
  if (model.problem !== null) {
    return broken(trans, model.problem, lease);
  }
  if (model.overview === null) {
    return plain('unknown', trans.__('GPU slices'), trans.__('Asking for the GPU slices.'));
  }
  if (!front.isThere) {
    return plain('quiet', trans.__('GPU slices'), trans.__('Show the GPU slices of this node.'));
  }
  if (lease === null) {
    return plain('none', trans.__('no slice'), trans.__('This kernel has no GPU slice.'));
  }
  return isWaiting(lease) ? waiting(trans, lease) : held(trans, model, lease);
}

function plain(kind: StatusKind, text: string, details: string): IStatus {
  return { kind, text, details, lease: null, memory: null, fullness: null, busy: null };
}

function waiting(trans: TranslationBundle, lease: ILease): IStatus {
  const text = trans.__('waiting for %1: %2', lease.size, wait(trans, lease));
  const queued = trans.__('Cells run now are queued and run when the slice is there.');
  const details = [lease.overQuota, queued].filter(Boolean).join('\n');
  return { ...plain('waiting', text, details), lease };
}

function held(trans: TranslationBundle, model: Model, lease: ILease): IStatus {
  if (lease.slice === null) {
    const text = trans.__('%1: being made', lease.size);
    return { ...plain('starting', text, trans.__('The slice is being made.')), lease };
  }
  const { profile, gpuIndex, gpuName } = lease.slice;
  const reading = model.readingOf(lease);
  const now = utilization(reading);
  const end = until(trans, model.endOf(lease));
  return {
    kind: 'held',
    text:
      end && (lease.endsInSeconds ?? Infinity) <= ENDING_SECONDS ? `${profile} ${end}` : profile,
    details: [
      trans.__('%1 on GPU %2 (%3)', profile, gpuIndex, gpuName),
      end && trans.__('%1, by %2', end, lease.rule),
      ...read(trans, reading)
    ]
      .filter(Boolean)
      .join('\n'),
    lease,
    memory: memory(trans, reading),
    fullness: fullness(reading),
    busy: now === null ? null : busy(now)
  };
}

/** Everything that was read, and why the rest was not. */
function read(trans: TranslationBundle, reading: IReading | null): string[] {
  if (reading === null) {
    return [];
  }
  const used = memory(trans, reading);
  const lines = [
    used === null ? reading.memoryNotAvailable : trans.__('%1 of memory used', used),
    busyInFull(trans, reading)
  ];
  if (reading.processes !== null) {
    lines.push(trans._n('%1 CUDA process', '%1 CUDA processes', reading.processes));
  }
  return lines.filter(Boolean);
}

function broken(trans: TranslationBundle, problem: IProblem, lease: ILease | null): IStatus {
  const { message, situation, nextStep } = explained(trans, problem);
  const details = [message, situation, nextStep].filter(Boolean).join('\n');
  if (NO_SLICES_HERE.includes(problem.kind)) {
    return plain('none', trans.__('no GPU slices here'), details);
  }
  const what = whatIsBroken(trans, problem);
  const keeps = lease !== null && lease.slice !== null;
  const text = keeps ? trans.__('%1: %2, slice still yours', lease.size, what) : what;
  return { ...plain('broken', text, details), lease: keeps ? lease : null };
}

/** A proxy's page has no kind. */
function whatIsBroken(trans: TranslationBundle, { kind }: IProblem): string {
  switch (kind) {
    case '':
    case 'server-unreachable':
      return trans.__('server unreachable');
    case 'server-not-understood':
      return trans.__('server not understood');
    default:
      return trans.__('broker unreachable');
  }
}
