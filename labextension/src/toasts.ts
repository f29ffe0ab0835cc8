import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Action, INotice } from './notices.js';
import type { Kernels } from './kernels.js';
import type { Model } from './model.js';
import type { INews } from './news.js';
import type { Sizing } from './sizing.js';

/** Shows notices as JupyterLab's notifications, with what can be done about them. */
export class Toasts {
  constructor(
    private readonly _model: Model,
    private readonly _kernels: Kernels,
    private readonly _sizing: Sizing | null,
    private readonly _trans: TranslationBundle
  ) {}

  /** In place of the one before it about the same thing, if that is still there. */
  show(notice: INotice): void {
    const options = {
      autoClose: notice.milliseconds,
      actions: notice.actions.flatMap(action => this._button(action, notice.news) ?? [])
    };
    const id = this._ids.get(notice.key);
    if (id !== undefined && Notification.manager.has(id)) {
      Notification.update({ id, message: notice.text, type: notice.type, ...options });
      return;
    }
    this._forgetThoseGone();
    this._ids.set(notice.key, Notification.emit(notice.text, notice.type, options));
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
    for (const [key, id] of this._ids) {
      if (!Notification.manager.has(id)) {
        this._ids.delete(key);
      }
    }
  }

  private readonly _ids = new Map<string, string>();
}
