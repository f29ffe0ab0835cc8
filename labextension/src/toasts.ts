import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Action, INotice } from './notices.js';
import { isPast } from './notices.js';
import type { Kernels } from './kernels.js';
import type { Model } from './model.js';
import type { INews } from './news.js';
import type { Sizing } from './sizing.js';

interface IShown {
  readonly id: string;
  readonly news: INews;
  /** Whether an answer of the server's has told of its lease. */
  isKnown: boolean;
}

/** Shows notices as JupyterLab's notifications, with what can be done about them. */
export class Toasts {
  constructor(
    private readonly _model: Model,
    private readonly _kernels: Kernels,
    private readonly _sizing: Sizing | null,
    private readonly _trans: TranslationBundle
  ) {
    _model.changed.connect(() => this._closePast());
  }

  /** In place of the one before it about the same thing, if that is still there. */
  show(notice: INotice): void {
    const options = {
      autoClose: notice.milliseconds,
      actions: notice.actions.flatMap(action => this._button(action, notice.news) ?? [])
    };
    this._forgetThoseGone();
    const id = this._shown.get(notice.key)?.id;
    if (id !== undefined) {
      Notification.update({ id, message: notice.text, type: notice.type, ...options });
    }
    this._shown.set(notice.key, {
      id: id ?? Notification.emit(notice.text, notice.type, options),
      news: notice.news,
      isKnown: this._model.leases.some(lease => lease.leaseId === notice.news.leaseId)
    });
  }

  /** Nobody should read of a wait that was called off, nor be asked to do something about it. The
   * news may be quicker than the answer that tells of their lease.
   */
  private _closePast(): void {
    const leases = this._model.leases;
    for (const shown of this._shown.values()) {
      shown.isKnown ||= leases.some(lease => lease.leaseId === shown.news.leaseId);
      if (shown.isKnown && isPast(shown.news, leases)) {
        Notification.dismiss(shown.id);
      }
    }
    this._forgetThoseGone();
  }

  /** null: it cannot be done to this one. */
  private _button(action: Action, news: INews): Notification.IAction | null {
    const [trans, kernels, sizing] = [this._trans, this._kernels, this._sizing];
    const lease = this._model.leaseOf(news.kernelId);
    switch (action) {
      case 'go':
        return kernels.isHere(news)
          ? { label: trans.__('Go to Notebook'), callback: () => void kernels.goTo(news) }
          : null;
      case 'restart':
        return kernels.isHere(news)
          ? { label: trans.__('Restart'), callback: () => void kernels.restart(news) }
          : null;
      case 'shut-down':
        return kernels.isHere(news)
          ? { label: trans.__('Shut Down'), callback: () => void kernels.shutDown(news) }
          : null;
      case 'cancel':
        return lease === null
          ? null
          : { label: trans.__('Cancel'), callback: () => void kernels.cancel(lease) };
      case 'change-size': {
        const subject = lease === null ? null : (sizing?.subjectOf(lease) ?? null);
        return sizing === null || subject === null
          ? null
          : {
              label: trans.__('Change Size'),
              callback: event => {
                event.preventDefault(); // The menu needs the button that it opens below.
                sizing.openMenu(subject, event.target as HTMLElement);
              }
            };
      }
      case 'use-smaller': {
        const choice = lease === null ? null : (sizing?.smallerNow(lease) ?? null);
        return sizing === null || lease === null || choice === null
          ? null
          : {
              label: trans.__('Use %1 Now', choice.name),
              callback: () => void sizing.useSmaller(lease)
            };
      }
    }
  }

  private _forgetThoseGone(): void {
    for (const [key, { id }] of this._shown) {
      if (!Notification.manager.has(id)) {
        this._shown.delete(key);
      }
    }
  }

  private readonly _shown = new Map<string, IShown>();
}
