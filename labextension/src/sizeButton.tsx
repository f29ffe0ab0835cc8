import type { ISessionContext } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import * as React from 'react';

import { sliceIcon } from './icon.js';
import type { Model } from './model.js';
import { isWaiting } from './model.js';
import type { Sizing } from './sizing.js';
import type { ISubject } from './subject.js';
import { inContext } from './subject.js';

/** In a notebook's toolbar: which size its kernel has, and a menu of the others. */
export class SizeButton extends ReactWidget {
  constructor(
    private readonly _context: ISessionContext,
    private readonly _model: Model,
    private readonly _sizing: Sizing,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-mig-Size');
    const update = (): void => this._updateIfSeen();
    _model.changed.connect(update, this);
    _sizing.switcher.changed.connect(update, this);
    _context.kernelChanged.connect(update, this);
    _context.sessionChanged.connect(update, this);
  }

  override dispose(): void {
    Signal.clearData(this);
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this.update();
  }

  protected override render(): React.JSX.Element {
    const subject = this._subject();
    if (this._model.overview === null || this._sizing.of(subject).length === 0) {
      return <></>;
    }
    const target = this._sizing.switcher.targetOf(subject.kernelId);
    const news = this._news(subject, target);
    return (
      <>
        <button
          className="jp-mig-Size-button"
          aria-haspopup="menu"
          aria-busy={target !== null}
          disabled={target !== null}
          title={[news, this._title()].filter(each => each !== '').join('. ')}
          onClick={event => this._sizing.openMenu(this._subject(), event.currentTarget)}
        >
          <sliceIcon.react tag="span" className="jp-mig-Size-icon" />
          <span className="jp-mig-Size-text">{said(this._trans, subject, target)}</span>
          <caretDownIcon.react tag="span" className="jp-mig-Size-icon" />
        </button>
        <span className="jp-mig-unseen" role="status">
          {target === null ? '' : news}
        </span>
      </>
    );
  }

  private _subject(): ISubject {
    const kernelId = this._context.session?.kernel?.id;
    const lease = kernelId === undefined ? null : this._model.leaseOf(kernelId);
    return inContext(this._context, lease);
  }

  /** What is under way; empty: nothing is. */
  private _news({ lease }: ISubject, target: string | null): string {
    if (target !== null) {
      return this._trans.__('GPU: changing to %1', target);
    }
    return lease !== null && isWaiting(lease) ? this._trans.__('Waiting for %1', lease.size) : '';
  }

  private _title(): string {
    const title = this._trans.__('Change the GPU slice of %1', this._context.name);
    return this._model.overview?.node.simulated
      ? this._trans.__('%1 (simulated: no GPU is used)', title)
      : title;
  }

  private _updateIfSeen(): void {
    if (this.isVisible) {
      this.update();
    }
  }
}

/**
 * Short, and as long in every state: JupyterLab measures an item of a toolbar once, at any time, and
 * puts what was too long then out of sight for good.
 */
function said(trans: TranslationBundle, { lease }: ISubject, target: string | null): string {
  if (target !== null) {
    return trans.__('changing…');
  }
  if (lease === null) {
    return trans.__('GPU: none');
  }
  return isWaiting(lease)
    ? trans.__('GPU: waiting')
    : trans.__('GPU: %1', lease.slice?.profile ?? lease.size);
}
