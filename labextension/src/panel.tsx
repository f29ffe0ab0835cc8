import { ReactWidget } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import { DisposableSet } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { Front } from './front.js';
import { Gpus } from './gpus.js';
import { sliceIcon } from './icon.js';
import { InFront } from './inFront.js';
import { Loose, Mine, Queue } from './leases.js';
import { Simulated } from './meter.js';
import type { IParts } from './parts.js';
import type { IProblem } from './views.js';
import { explained } from './wording.js';

/** The side panel: the whole picture. While it is seen the model is asked more often. */
export class Panel extends ReactWidget {
  static readonly ID = 'jupyter-mig:panel';

  constructor(
    private readonly _parts: IParts,
    private readonly _front: Front
  ) {
    super();
    const { model, sizing, trans } = _parts;
    this.id = Panel.ID;
    this.addClass('jp-mig-Panel');
    this.title.icon = sliceIcon;
    this.title.caption = trans.__('GPU slices');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('GPU slices'));
    model.changed.connect(() => this._updateIfSeen(), this);
    _front.changed.connect(() => this._updateIfSeen(), this);
    sizing?.switcher.changed.connect(() => this._updateIfSeen(), this);
  }

  override dispose(): void {
    this._stopWatching();
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._watching ??= this._watch();
    this.update();
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._stopWatching();
  }

  protected override render(): React.JSX.Element {
    const parts = this._parts;
    const { model, trans } = parts;
    const kernelId = this._front.kernelId;
    const lease = kernelId === null ? null : model.leaseOf(kernelId);
    return (
      <>
        <header>
          <h2>{trans.__('GPU slices')}</h2>
          {model.overview?.node.simulated ? (
            <Simulated
              label={trans.__('simulated')}
              title={trans.__('No GPU is used: this node is simulated.')}
            />
          ) : null}
        </header>
        {model.problem === null ? null : <Problem problem={explained(trans, model.problem)} />}
        {this._front.context === null ? null : (
          <InFront {...parts} lease={lease} name={this._front.name} />
        )}
        <Gpus {...parts} />
        <Mine {...parts} />
        <Loose {...parts} />
        <Queue {...parts} />
      </>
    );
  }

  private _watch(): IDisposable {
    const watching = new DisposableSet();
    watching.add(this._parts.history.watch());
    watching.add(this._parts.model.watch());
    return watching;
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
