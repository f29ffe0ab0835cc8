import type { INews, Kind } from './news.js';

/** A wait shorter than this is no news. */
export const NEWS_MS = 3_000;
/** Of so many leases is remembered that the server told of them. */
const REMEMBERED = 1_000;

export type Action = 'go' | 'change-size' | 'use-smaller' | 'cancel' | 'shut-down';

/** What is shown of the news, and how. */
export interface INotice {
  /** A later notice with the same key takes the place of this one. */
  readonly key: string;
  readonly type: 'success' | 'info' | 'warning' | 'error';
  readonly text: string;
  readonly actions: readonly Action[];
  /** How long it is shown; false: until somebody closes it. */
  readonly milliseconds: number | false;
  readonly news: INews;
}

/** What a bulletin needs to know of the rest. */
export interface ISurroundings {
  isWanted(kind: Kind): boolean;
  /** Whether the lease waited when the server was asked last. */
  isWaiting(leaseId: string): boolean;
  /** Whether the user called that wait off in this tab. */
  hasCancelled(leaseId: string): boolean;
  /** Whether the kernel's notebook is open in this tab, where JupyterLab says why it has none. */
  isOpen(news: INews): boolean;
  show(notice: INotice): void;
}

/** Decides what of the server's news is shown in this tab. */
export class Bulletin {
  constructor(private readonly _around: ISurroundings) {}

  /** Take what this tab found out by itself, unless the server tells of that lease. */
  takeOwn(news: INews): void {
    if (!this._heard.has(news.leaseId) && this._isNews(news, true)) {
      this._show(news);
    }
  }

  /** Take what the server told. */
  take(news: INews): void {
    this._remember(news.leaseId);
    if (news.kind === 'waiting') {
      this._begin(news);
      return;
    }
    const waited = this._end(news);
    if (this._isNews(news, waited)) {
      this._show(news);
    }
  }

  private _remember(leaseId: string): void {
    this._heard.add(leaseId);
    for (const oldest of this._heard) {
      if (this._heard.size <= REMEMBERED) {
        return;
      }
      this._heard.delete(oldest);
    }
  }

  private _begin(news: INews): void {
    if (this._waits.has(news.leaseId)) {
      return;
    }
    const timer = setTimeout(() => {
      this._waits.set(news.leaseId, null);
      this._show(news);
    }, NEWS_MS);
    this._waits.set(news.leaseId, timer);
  }

  /** Whether it waited so long that it is news that it does no more. */
  private _end(news: INews): boolean {
    const { leaseId } = news;
    if (!ENDS.includes(news.kind)) {
      return false;
    }
    const timer = this._waits.get(leaseId);
    if (timer === undefined) {
      return this._around.isWaiting(leaseId);
    }
    this._waits.delete(leaseId);
    if (timer !== null) {
      clearTimeout(timer);
    }
    return timer === null;
  }

  private _isNews(news: INews, waited: boolean): boolean {
    switch (news.kind) {
      case 'granted':
        return waited;
      case 'refused':
        return !this._around.hasCancelled(news.leaseId) && !this._around.isOpen(news);
      case 'released':
        return !this._around.hasCancelled(news.leaseId);
      default:
        return true;
    }
  }

  private _show(news: INews): void {
    if (this._around.isWanted(news.kind)) {
      const { topic, ...looks } = LOOKS[news.kind];
      this._around.show({ ...looks, key: `${topic} ${news.leaseId}`, text: textOf(news), news });
    }
  }

  private readonly _heard = new Set<string>();
  /** By lease: what will tell of the wait; null: it was told. */
  private readonly _waits = new Map<string, ReturnType<typeof setTimeout> | null>();
}

const ENDS: readonly Kind[] = ['granted', 'refused', 'released', 'lost'];

const BRIEF_MS = 8_000;
const LONG_MS = 30_000;

type Looks = Pick<INotice, 'type' | 'actions' | 'milliseconds'> & { readonly topic: string };

const LOOKS: Readonly<Record<Kind, Looks>> = {
  waiting: {
    topic: 'wait',
    type: 'info',
    actions: ['use-smaller', 'cancel'],
    milliseconds: BRIEF_MS
  },
  granted: { topic: 'wait', type: 'success', actions: ['go'], milliseconds: BRIEF_MS },
  refused: { topic: 'wait', type: 'error', actions: [], milliseconds: LONG_MS },
  released: { topic: 'end', type: 'info', actions: [], milliseconds: BRIEF_MS },
  lost: { topic: 'end', type: 'error', actions: ['go', 'shut-down'], milliseconds: false },
  'nearly-full': {
    topic: 'full',
    type: 'warning',
    actions: ['go', 'change-size'],
    milliseconds: LONG_MS
  },
  idle: { topic: 'idle', type: 'warning', actions: ['go', 'shut-down'], milliseconds: LONG_MS }
};

/** JupyterLab cuts longer texts off. */
const LONGEST = 140;

function textOf({ message, nextStep }: INews): string {
  const both = [message, nextStep].filter(Boolean).join(' ');
  return both.length > LONGEST ? message : both;
}
