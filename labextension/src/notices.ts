/** What is shown of the server's news, and how. */
import { isWaiting } from './model.js';
import type { INews, Kind } from './news.js';
import type { ILease } from './views.js';

export type Action = 'go' | 'change-size' | 'use-smaller' | 'cancel' | 'restart' | 'shut-down';

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

export function noticeOf(news: INews): INotice {
  const { topic, ...looks } = LOOKS[news.kind];
  // What was refused at once has no lease.
  return { ...looks, key: `${topic} ${news.leaseId || news.kernelId}`, text: textOf(news), news };
}

/** Whether it is past: the wait has ended, or the slice that it speaks of is given back. */
export function isPast({ kind, leaseId }: INews, leases: readonly ILease[]): boolean {
  const lease = leases.find(each => each.leaseId === leaseId);
  switch (kind) {
    case 'waiting':
      return lease === undefined || !isWaiting(lease);
    case 'nearly-full':
    case 'idle':
    case 'ending':
      return lease === undefined;
    default:
      return false;
  }
}

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
  released: { topic: 'end', type: 'warning', actions: ['go', 'restart'], milliseconds: LONG_MS },
  lost: { topic: 'end', type: 'error', actions: ['restart', 'shut-down'], milliseconds: false },
  'nearly-full': {
    topic: 'full',
    type: 'warning',
    actions: ['go', 'change-size'],
    milliseconds: LONG_MS
  },
  idle: { topic: 'idle', type: 'warning', actions: ['go', 'shut-down'], milliseconds: LONG_MS },
  ending: { topic: 'ending', type: 'warning', actions: ['go'], milliseconds: LONG_MS }
};

/** JupyterLab cuts longer texts off. */
const LONGEST = 140;

function textOf({ message, nextStep }: INews): string {
  const both = [message, nextStep].filter(Boolean).join(' ');
  return both.length > LONGEST ? message : both;
}
