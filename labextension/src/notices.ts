import type { TranslationBundle } from '@jupyterlab/translation';

import type { ILease } from './views.js';
import { nameOf } from './wording.js';

/** A wait shorter than this is no news. */
const NEWS_MS = 3_000;
const SHOWN_MS = 8_000;

/** What a notice needs to know of the model. */
export interface ILeases {
  readonly problem: unknown;
  readonly leases: readonly ILease[];
  hasCancelled(leaseId: string): boolean;
}

export interface INotice {
  readonly kind: 'granted' | 'ended';
  readonly text: string;
  readonly lease: ILease;
  readonly milliseconds: number;
}

/** Tells from one answer to the next what has become of those who waited. */
export class Waits {
  constructor(private readonly _trans: TranslationBundle) {}

  /** The news at `now` (milliseconds on any clock). */
  news(model: ILeases, now: number): INotice[] {
    if (model.problem !== null) {
      return [];
    }
    const notices: INotice[] = [];
    for (const [leaseId, wait] of this._waits) {
      const lease = model.leases.find(each => each.leaseId === leaseId);
      if (lease?.state === 'waiting') {
        continue;
      }
      this._waits.delete(leaseId);
      if (now - wait.since >= NEWS_MS && !model.hasCancelled(leaseId)) {
        notices.push(lease === undefined ? this._ended(wait.lease) : this._granted(lease));
      }
    }
    this._remember(model.leases, now);
    return notices;
  }

  private _remember(leases: readonly ILease[], now: number): void {
    for (const lease of leases) {
      if (lease.state === 'waiting' && !this._waits.has(lease.leaseId)) {
        this._waits.set(lease.leaseId, { lease, since: now });
      }
    }
  }

  private _granted(lease: ILease): INotice {
    const name = nameOf(this._trans, lease.label);
    const text = this._trans.__('%1 has its %2 slice.', name, lease.size);
    return { kind: 'granted', text, lease, milliseconds: SHOWN_MS };
  }

  private _ended(lease: ILease): INotice {
    const name = nameOf(this._trans, lease.label);
    const text = this._trans.__('%1 does not wait for %2 any more.', name, lease.size);
    return { kind: 'ended', text, lease, milliseconds: SHOWN_MS };
  }

  private readonly _waits = new Map<string, { lease: ILease; since: number }>();
}
