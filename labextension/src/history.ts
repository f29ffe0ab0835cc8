import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

import type { IHistory, ILease, IReading } from './views.js';
import { utilization } from './wording.js';

export const SPAN_MS = 15 * 60_000;
/** Points are at least so far apart, but for the newest. */
export const STEP_MS = 5_000;
/** After so long without an answer (a hidden tab, a laptop asleep) the server is asked what it was. */
const LOST_MS = 60_000;

export interface IPoint {
  /** In milliseconds, on this tab's clock. */
  readonly at: number;
  readonly memoryUsedBytes: number | null;
  readonly utilization: number | null;
}

/** What the history needs to know of the model. */
export interface IReadable {
  readonly changed: ISignal<unknown, void>;
  readonly problem: unknown;
  readonly leases: readonly ILease[];
  readingOf(lease: ILease): IReading | null;
}

/**
 * The last minutes of the user's slices: what the model read in this tab, and what was before that
 * as the server tells it. The server is asked once when somebody watches, and again after a gap.
 */
export class History {
  constructor(
    private readonly _ask: () => Promise<IHistory>,
    private readonly _model: IReadable,
    private readonly _now: () => number = () => Date.now()
  ) {
    _model.changed.connect(this._append, this);
  }

  /** Keep it whole until what is returned is disposed of. */
  watch(): IDisposable {
    this._watchers += 1;
    void this._makeWhole();
    return new DisposableDelegate(() => {
      this._watchers -= 1;
    });
  }

  /** The oldest first. The same list as long as nothing was added. */
  pointsOf(lease: ILease): readonly IPoint[] {
    return this._points.get(lease.leaseId) ?? NONE;
  }

  private _append(): void {
    if (this._model.problem !== null) {
      return;
    }
    this._noticeGap();
    const points = new Map<string, readonly IPoint[]>();
    for (const lease of this._model.leases) {
      const point = this._pointNow(this._model.readingOf(lease));
      const old = this.pointsOf(lease);
      points.set(lease.leaseId, point === null ? old : withPoint(old, point));
    }
    this._points = points;
  }

  /** A clock that was set back makes a gap, too. */
  private _noticeGap(): void {
    const now = this._now();
    const elapsed = now - (this._answeredAt ?? now);
    this._answeredAt = now;
    if (elapsed < 0 || elapsed > LOST_MS) {
      this._isWhole = false;
      if (elapsed < 0) {
        this._points.clear();
      }
      void this._makeWhole();
    }
  }

  private _pointNow(reading: IReading | null): IPoint | null {
    return reading === null
      ? null
      : {
          at: this._now(),
          memoryUsedBytes: reading.memoryUsedBytes,
          utilization: utilization(reading)?.percent ?? null
        };
  }

  private async _makeWhole(): Promise<void> {
    if (this._isWhole || this._watchers === 0) {
      return;
    }
    this._isWhole = true;
    try {
      this._take(await this._ask());
    } catch {
      // An older server has no history, one that is gone has none now: what this tab sees remains.
    }
  }

  private _take(history: IHistory): void {
    const now = this._now();
    for (const { leaseId, points } of history.leases) {
      const told = points.map(({ ageSeconds, memoryUsedBytes, utilization }) => ({
        at: now - 1_000 * ageSeconds,
        memoryUsedBytes,
        utilization
      }));
      const last = told[told.length - 1]?.at ?? 0;
      const seen = (this._points.get(leaseId) ?? NONE).filter(point => point.at > last);
      this._points.set(leaseId, [...told, ...seen].reduce(withPoint, NONE));
    }
  }

  private _points = new Map<string, readonly IPoint[]>();
  private _isWhole = false;
  private _watchers = 0;
  private _answeredAt: number | null = null;
}

const NONE: readonly IPoint[] = [];

/** The newest in the place of the one before it if that was too soon; what is too old is dropped. */
function withPoint(points: readonly IPoint[], newest: IPoint): readonly IPoint[] {
  const [before, last] = points.slice(-2);
  const isTooSoon = before !== undefined && last !== undefined && last.at - before.at < STEP_MS;
  const kept = isTooSoon ? points.slice(0, -1) : points;
  return [...kept.filter(point => point.at > newest.at - SPAN_MS), newest];
}
