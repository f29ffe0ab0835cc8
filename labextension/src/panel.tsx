import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { Front } from './front.js';
import { Gpus } from './gpus.js';
import { sliceIcon } from './icon.js';
import type { Kernels } from './kernels.js';
import { InFront, Mine, Queue } from './leases.js';
import { Simulated } from './meter.js';
import type { Model } from './model.js';
import type { IProblem } from './views.js';

/** The side panel: the whole picture. While it is seen the model is asked more often. */
export class Panel extends ReactWidget {
  static readonly ID = 'jupyter-mig:panel';

  constructor(
    private readonly _model: Model,
    private readonly _front: Front,
    private readonly _kernels: Kernels,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.id = Panel.ID;
    this.addClass('jp-mig-Panel');
    this.title.icon = sliceIcon;
    this.title.caption = _trans.__('GPU slices');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', _trans.__('GPU slices'));
    _model.changed.connect(() => this._updateIfSeen(), this);
    _front.changed.connect(() => this._updateIfSeen(), this);
  }

  override dispose(): void {
    this._stopWatching();
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._watching ??= this._model.watch();
    this.update();
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._stopWatching();
  }

  protected override render(): React.JSX.Element {
    const parts = { trans: this._trans, model: this._model, kernels: this._kernels };
    const kernelId = this._front.kernelId;
    const lease = kernelId === null ? null : this._model.leaseOf(kernelId);
    return (
      <>
        <header>
          <h2>{this._trans.__('GPU slices')}</h2>
          {this._model.overview?.node.simulated ? (
            <Simulated
              label={this._trans.__('simulated')}
              title={this._trans.__('No GPU is used: this node is simulated.')}
            />
          ) : null}
        </header>
        {this._model.problem === null ? null : <Problem problem={this._model.problem} />}
        {this._front.context === null ? null : (
          <InFront {...parts} lease={lease} name={this._front.name} />
        )}
        <Gpus {...parts} />
        <Mine {...parts} />
        <Queue {...parts} />
      </>
    );
  }

  private _updateIfSeen(): void {
    if (this.isVisible) {
      this.update();
    }
  }

  private _stopWatching(): void {
    this._watching?.dispose();
    this._watching = null;
  }

  private _watching: IDisposable | null = null;
}

function Problem(props: { problem: IProblem }): React.JSX.Element {
  const { message, situation, nextStep } = props.problem;
  return (
    <div className="jp-mig-Problem" role="alert">
      <b>{message}</b>
      {situation ? <p>{situation}</p> : null}
      {nextStep ? <p>{nextStep}</p> : null}
    </div>
  );
}
