import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Front } from './front.js';
import { sliceIcon } from './icon.js';
import type { Kernels } from './kernels.js';
import { Meter, Simulated } from './meter.js';
import type { Model } from './model.js';
import type { IStatus } from './status.js';
import { statusOf } from './status.js';

/** In the status bar: the slice of the notebook in front. A click opens the panel. */
export class StatusItem extends ReactWidget {
  constructor(
    private readonly _model: Model,
    private readonly _front: Front,
    private readonly _kernels: Kernels,
    private readonly _openPanel: () => void,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-mig-Status');
    _model.changed.connect(() => this.update(), this);
    _front.changed.connect(() => this.update(), this);
  }

  protected override render(): React.JSX.Element {
    const trans = this._trans;
    const status = statusOf(trans, this._model, {
      isThere: this._front.context !== null,
      kernelId: this._front.kernelId
    });
    return (
      <>
        <button
          className={`jp-mig-Status-main jp-mig-mod-${status.kind}`}
          title={status.details}
          onClick={this._openPanel}
        >
          <sliceIcon.react tag="span" className="jp-mig-Status-icon" />
          <span>{status.text}</span>
          {this._memory(status)}
          {status.busy === null ? null : <span className="jp-mig-busy">{status.busy}</span>}
          {this._model.overview?.node.simulated ? (
            <Simulated
              label={trans.__('simulated')}
              title={trans.__('No GPU is used: this node is simulated.')}
            />
          ) : null}
        </button>
        {this._cancel(status)}
        <span className="jp-mig-unseen" role="status">
          {status.kind === 'quiet' ? '' : status.text}
        </span>
      </>
    );
  }

  private _memory(status: IStatus): React.JSX.Element | null {
    if (status.memory === null || status.fullness === null) {
      return null;
    }
    return (
      <>
        <Meter fullness={status.fullness} label={this._trans.__('Memory of the slice')} />
        <span className="jp-mig-number">{status.memory}</span>
      </>
    );
  }

  private _cancel(status: IStatus): React.JSX.Element | null {
    const lease = status.lease;
    if (status.kind !== 'waiting' || lease === null) {
      return null;
    }
    return (
      <button
        className="jp-mig-Status-cancel"
        title={this._trans.__('Stop waiting for %1', lease.size)}
        onClick={() => void this._kernels.cancel(lease)}
      >
        {this._trans.__('Cancel')}
      </button>
    );
  }
}
