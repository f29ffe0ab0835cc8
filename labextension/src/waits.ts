import type { TranslationBundle } from '@jupyterlab/translation';

import { NEWS_MS } from './bulletin.js';
import type { INews, Kind } from './news.js';
import type { ILease } from './views.js';
import { nameOf } from './wording.js';

/** What a notice needs to know of the model. */
export interface ILeases {
  readonly problem: unknown;
  readonly leases: readonly ILease[];
  hasCancelled(leaseId: string): boolean;
}

/**
 * Tells from one answer to the next what has become of those who waited: for servers, and ways to
 * them, without events.
 */
export class Waits {
  constructor(private readonly _trans: TranslationBundle) {}

  /** The news at `now` (milliseconds on any clock). */
  news(model: ILeases, now: number): INews[] {
    if (model.problem !== null) {
      return [];
    }
    const news: INews[] = [];
    for (const [leaseId, wait] of this._waits) {
      const lease = model.leases.find(each => each.leaseId === leaseId);
      if (lease?.state === 'waiting') {
        continue;
      }
      this._waits.delete(leaseId);
      if (now - wait.since >= NEWS_MS && !model.hasCancelled(leaseId)) {
        news.push(lease === undefined ? this._ended(wait.lease) : this._granted(lease));
      }
    }
    this._remember(model.leases, now);
    return news;
  }

  private _remember(leases: readonly ILease[], now: number): void {
    for (const lease of leases) {
      if (lease.state === 'waiting' && !this._waits.has(lease.leaseId)) {
        this._waits.set(lease.leaseId, { lease, since: now });
      }
    }
  }

  private _granted(lease: ILease): INews {
    const name = nameOf(this._trans, lease.label);
    return newsOf('granted', lease, this._trans.__('%1 has its %2 slice.', name, lease.size));
  }

  private _ended(lease: ILease): INews {
    const name = nameOf(this._trans, lease.label);
    const message = this._trans.__('%1 does not wait for %2 any more.', name, lease.size);
    return newsOf('refused', lease, message);
  }

  private readonly _waits = new Map<string, { lease: ILease; since: number }>();
}

function newsOf(kind: Kind, { kernelId, leaseId, size, label }: ILease, message: string): INews {
  return { kind, kernelId, leaseId, size, label, message, nextStep: '' };
}
