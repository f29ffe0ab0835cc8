import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { Session } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Model } from './model.js';
import type { ILease } from './views.js';
import { nameOf } from './wording.js';

/** What a user can do about a kernel that has or wants a slice. */
export class Kernels {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _model: Model,
    private readonly _trans: TranslationBundle
  ) {}

  /** The notebook's name, also after it was renamed. */
  nameOf(lease: ILease): string {
    return nameOf(this._trans, this._session(lease)?.path ?? lease.label);
  }

  /** Whether this server runs it: the user's other programs have leases too. */
  isHere(lease: ILease): boolean {
    return this._session(lease) !== null;
  }

  /** Show its notebook or console. */
  async goTo(lease: ILease): Promise<void> {
    const session = this._session(lease);
    if (session === null) {
      return;
    }
    const { commands } = this._app;
    const path = session.path;
    if (session.type === 'console' && commands.hasCommand('console:open')) {
      await commands.execute('console:open', { path, activate: true });
    } else {
      await commands.execute('docmanager:open', { path });
    }
  }

  /** Shut it down, after asking. */
  async shutDown(lease: ILease): Promise<void> {
    const session = this._session(lease);
    if (session === null || !(await this._isSure(lease))) {
      return;
    }
    try {
      await this._app.serviceManager.sessions.shutdown(session.id);
    } catch (error) {
      await this._show(this._trans.__('The kernel was not shut down'), error);
    }
    this._model.refresh();
  }

  /** Call its wait off. */
  async cancel(lease: ILease): Promise<void> {
    try {
      await this._model.cancel(lease);
    } catch (error) {
      await this._show(this._trans.__('The wait was not called off'), error);
    }
  }

  private _session(lease: ILease): Session.IModel | null {
    for (const session of this._app.serviceManager.sessions.running()) {
      if (session.kernel?.id === lease.kernelId) {
        return session;
      }
    }
    return null;
  }

  private async _isSure(lease: ILease): Promise<boolean> {
    const answer = await showDialog({
      title: this._trans.__('Shut down the kernel?'),
      body: this._trans.__(
        'The kernel of %1 ends, its variables are lost, and its %2 slice is free.',
        this.nameOf(lease),
        lease.size
      ),
      buttons: [
        Dialog.cancelButton({ label: this._trans.__('Cancel') }),
        Dialog.warnButton({ label: this._trans.__('Shut Down') })
      ]
    });
    return answer.button.accept;
  }

  private async _show(title: string, error: unknown): Promise<void> {
    await showErrorMessage(title, error instanceof Error ? error : String(error));
  }
}
